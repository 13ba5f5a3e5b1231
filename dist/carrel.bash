# Completion of carrel(1) for bash: verbs, options and their values, user ids, exec ids, images, and files.

# Words from carreld, one a line; a carreld that does not answer does not block the shell.
_carrel_ask() {
        timeout 2 carrel ${_carrel_socket:+--socket "$_carrel_socket"} "$@" -q 2>/dev/null
}

# The typed part of the current word, without the shell's quotes.
_carrel_typed() {
        local typed=${current#[\"\']}
        printf '%s' "${typed//\\/}"
}

# Adds to COMPREPLY the lines of stdin that begin as the current word does, quoted where the shell needs it.
_carrel_offer() {
        local line typed
        typed=$(_carrel_typed)
        while IFS= read -r line; do
                [[ $line == "$typed"* ]] || continue
                if [[ $current == [\"\']* ]]; then COMPREPLY+=("$line"); else COMPREPLY+=("$(printf '%q' "$line")"); fi
        done
}

_carrel_words() {
        _carrel_offer < <(printf '%s\n' "$@")
}

_carrel_files() {
        compopt -o nospace 2>/dev/null
        _carrel_offer < <(compgen -f -- "$(_carrel_typed)" | while IFS= read -r line; do
                if [[ -d $line ]]; then printf '%s/\n' "$line"; else printf '%s\n' "$line"; fi
        done)
}

# The long options of a verb's --help.
_carrel_options() {
        carrel ${1:+"$1"} --help 2>/dev/null | sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\).*/\2/p' | sort -u
}

# Sets $kind to the kind of value that an option of a verb takes; 1: the option has none.
_carrel_kind() {
        case $2:$1 in
        *:-o | *:--output) kind='table json' ;;
        *:--policy) kind='internet none' ;;
        *:--on-conflict) kind='fail replace replace_idle' ;;
        image:-f | *:--format) kind='auto docker oci rootfs' ;;
        ps:-s | ps:--state) kind='all ended failed running waiting' ;;
        ls:-s | ls:--state) kind='frozen lost queued ready retiring starting warm' ;;
        kill:-s | kill:--signal) kind='CONT HUP INT KILL QUIT STOP TERM USR1 USR2' ;;
        *:--memory | *:--limit) kind='256m 512m 1g 2g' ;;
        exec:-w | shell:-w | *:--workdir) kind='/tmp /workspace' ;;
        *:--socket | *:--archive | *:--packages | *:--sources) kind=FILE ;;
        events:-u | *:--user) kind=USER ;;
        *:--image) kind=IMAGE ;;
        *:--profile) kind=PROFILE ;;
        exec:-e | shell:-e | *:--env) kind=VARIABLE ;;
        *:--after | *:--allowed | *:--count | *:--cpus | *:--id | *:--idle | *:--interval | *:--lease | *:--mounts | *:--pids | *:--suite | \
                *:--drain | *:--tail | *:--timeout | events:-n | logs:-a | logs:-n | doctor:-a | reap:-i | touch:-l) kind=ANY ;;
        *) return 1 ;;
        esac
}

# Sets $kind to the kind of the next operand of a verb; $2 is the number of earlier ones, $3 the first of them.
_carrel_operand() {
        local verbs='cp doctor ensure events exec fork freeze help image info inspect kill logs ls policy ps reap rm shell snapshot stats sweep thaw touch version why'
        kind=ANY
        case $1:$2 in
        :* | help:0) kind=$verbs ;;
        ensure:* | freeze:* | rm:* | thaw:* | touch:* | exec:0 | fork:0 | inspect:0 | ps:0 | shell:0 | stats:0 | why:0) kind=USER ;;
        cp:[01]) kind=PLACE ;;
        kill:*) kind=RUNNING ;;
        logs:0) kind=EXEC ;;
        image:0) kind='build import inspect ls pull rm' ;;
        snapshot:0) kind='create ls restore rm' ;;
        snapshot:1) kind=USER ;;
        image:*)
                case $3:$2 in
                rm:* | inspect:1) kind=IMAGE ;;
                import:1) kind=FILE ;;
                esac
                ;;
        esac
}

# COMPREPLY of a kind: words, or one of the names above.
_carrel_complete() {
        case $1 in
        ANY) ;;
        EXEC) _carrel_offer < <(_carrel_ask ps -a) ;;
        FILE) _carrel_files ;;
        IMAGE) _carrel_offer < <(_carrel_ask image ls) ;;
        PLACE)
                _carrel_files
                _carrel_offer < <(_carrel_ask ls | sed 's/$/:/')
                ;;
        PROFILE) _carrel_offer < <(_carrel_ask info) ;;
        RUNNING) _carrel_offer < <(_carrel_ask ps) ;;
        USER) _carrel_offer < <(_carrel_ask ls) ;;
        VARIABLE) _carrel_offer < <(compgen -e) ;;
        *)
                local words
                IFS=' ' read -ra words <<<"$1"
                _carrel_words "${words[@]}"
                ;;
        esac
}

_carrel() {
        local current previous words cword verb='' first='' kind='' _carrel_socket='' i count=0
        # bash splits words at colons and equals signs, but NAME:TAG, USER:PATH and --option=value are one word here.
        if declare -F _get_comp_words_by_ref >/dev/null; then
                _get_comp_words_by_ref -n := -c current -p previous -w words -i cword
        else
                words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
                current=${words[cword]} previous=${words[cword - 1]}
        fi
        COMPREPLY=()
        for ((i = 1; i < cword; i++)); do
                case ${words[i]} in
                --) return ;; # behind it is the program's own command line
                --socket) _carrel_socket=${words[++i]} ;;
                --socket=*) _carrel_socket=${words[i]#*=} ;;
                -*=*) ;;
                -*) if _carrel_kind "${words[i]}" "$verb"; then ((i++)); fi ;;
                *)
                        if [[ -z $verb ]]; then
                                verb=${words[i]}
                        else
                                first=${first:-${words[i]}}
                                ((count++))
                        fi
                        ;;
                esac
        done
        if [[ $current == --*=* ]]; then
                previous=${current%%=*} current=${current#*=}
                if _carrel_kind "$previous" "$verb"; then _carrel_complete "$kind"; fi
        elif _carrel_kind "$previous" "$verb"; then
                _carrel_complete "$kind"
        elif [[ $current == -* ]]; then
                _carrel_offer < <(_carrel_options "$verb")
        else
                _carrel_operand "$verb" "$count" "$first"
                _carrel_complete "$kind"
        fi
        if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
}

complete -F _carrel carrel
