#!/bin/bash
# The completions of carrel(1), with a carrel and a carreld that are made up. Says what was not offered as it should be.
set -u
dist=$1
carrel=$(readlink -f "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# Help is the real one's; answers are not.
cat >"$scratch/carrel" <<END
#!/bin/bash
case "\$*" in
*--help*) exec $carrel "\$@" ;;
*--socket*other*'ls -q') echo elsewhere ;;
'image ls -q') printf '%s\n' carrel-sandbox:latest team/tools:2 ;;
'ls -q') printf '%s\n' ada alan bob ;;
'info -q') printf '%s\n' full small ;;
'ps -q') printf '%s\n' 9b1d build-42 ;;
'ps -a -q') printf '%s\n' 9b1d build-42 over-1 ;;
esac
END
chmod 755 "$scratch/carrel"
PATH=$scratch:$PATH
mkdir "$scratch/here" "$scratch/here/a dir"
cd "$scratch/here" || exit 1
touch 'my file' plain

# The words of a command line, "|" between them, the last one as far as it is typed; what is offered, sorted.
offered() {
        local IFS='|'
        # shellcheck disable=SC2206
        COMP_WORDS=($1)
        [[ $1 == *'|' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMPREPLY=()
        _carrel
        printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd '|'
}

expect() {
        local got
        got=$(offered "$1")
        [[ $got == "$2" ]] && return
        echo "$1: offered \"$got\", not \"$2\""
        failures=$((failures + 1))
}

shopt -u progcomp
# shellcheck source=/dev/null
. "$dist/carrel.bash"
expect 'carrel|en' ensure
expect 'carrel|rm|a' 'ada|alan'
expect 'carrel|rm|ada|b' bob
expect 'carrel|--socket|/run/other|rm|' elsewhere
expect 'carrel|-o|' 'json|table'
expect 'carrel|-o|json|inspect|b' bob
expect 'carrel|ensure|--policy|' 'internet|none'
expect 'carrel|ensure|--policy|none|al' alan
expect 'carrel|ensure|--on-conflict|replace' 'replace|replace_idle'
expect 'carrel|ensure|--image|team' team/tools:2
expect 'carrel|ensure|--profile|s' small
expect 'carrel|ensure|--mem' --memory
expect 'carrel|ensure|ada|--memory|1' 1g
expect 'carrel|exec|-w|' '/tmp|/workspace'
expect 'carrel|exec|ada|--|l' ''
expect 'carrel|kill|b' build-42
expect 'carrel|kill|-s|K' KILL
expect 'carrel|logs|o' over-1
expect 'carrel|image|' 'build|import|inspect|ls|pull|rm'
expect 'carrel|image|rm|c' carrel-sandbox:latest
expect 'carrel|image|import|m' 'my\ file'
expect 'carrel|cp|my\ f' 'my\ file'
expect 'carrel|cp|"my f' 'my file'
expect 'carrel|cp|a' 'a\ dir/|ada:|alan:'
expect 'carrel|ps|--state|r' running
expect 'carrel|ls|--state|r' 'ready|retiring'
expect 'carrel|help|tou' touch

# Every verb and every long option that there is.
expect 'carrel|' "$(carrel --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' | LC_ALL=C sort | paste -sd '|')"
for verb in $(carrel --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'); do
        options=$(carrel "$verb" --help | grep -Eo '^  (-.,|   ) --[a-z-]+' | grep -Eo -- '--[a-z-]+' | LC_ALL=C sort)
        expect "carrel|$verb|--" "$(paste -sd '|' <<<"$options")"
        for option in $options; do
                grep -qE -- "(-l ${option#--}( |\$)|$option)" "$dist/carrel.fish" && continue
                echo "fish does not know $verb $option"
                failures=$((failures + 1))
        done
        grep -q -- "-a $verb -d" "$dist/carrel.fish" || { echo "fish does not know $verb"; failures=$((failures + 1)); }
done

# The other shells' are at least programs of theirs; where the shell is, fish is asked, too.
for shell in zsh fish; do
        if ! command -v "$shell" >/dev/null; then
                echo "SKIP: no $shell"
                [[ ${CARREL_MUST_RUN:-} == 1 ]] && failures=$((failures + 1))
                continue
        fi
        "$shell" -n "$dist/carrel.$shell" || { echo "carrel.$shell is no program of $shell"; failures=$((failures + 1)); }
done
if command -v fish >/dev/null; then
        while IFS='=' read -r line wanted; do
                got=$(HOME=$scratch fish --no-config -c "source $dist/carrel.fish; complete -C '$line'" | cut -f 1 | LC_ALL=C sort | paste -sd '|')
                [[ $got == "$wanted" ]] && continue
                echo "fish, $line: offered \"$got\", not \"$wanted\""
                failures=$((failures + 1))
        done <<'END'
carrel rm a=ada|alan
carrel ensure --policy =internet|none
carrel ensure --profile =full|small
carrel kill b=build-42
carrel image =build|import|inspect|ls|pull|rm
carrel image rm t=team/tools:2
carrel logs o=over-1
END
fi
[[ $failures == 0 ]]
