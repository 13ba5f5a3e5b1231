#compdef carrel
# Completion of carrel(1) for zsh: verbs, options and their values, user ids, exec ids, images, and files.

# Words from carreld, one a line; a carreld that does not answer does not block the shell.
_carrel_ask() {
        local -a socket
        [[ -n ${opt_args[--socket]} ]] && socket=(--socket ${opt_args[--socket]})
        timeout 2 carrel $socket "$@" -q 2>/dev/null
}

_carrel_offer() {
        local -a found=("${(@f)$(_carrel_ask "${@:2}")}")
        found=(${found:#})
        (( $#found )) && compadd -X "$1" -a found
}

_carrel_users() { _carrel_offer user ls }
_carrel_running() { _carrel_offer exec ps }
_carrel_execs() { _carrel_offer exec ps -a }
_carrel_image_names() { _carrel_offer image image ls }
_carrel_profiles() { _carrel_offer profile info }
_carrel_places() {
        local -a users=("${(@f)$(_carrel_ask ls)}")
        users=(${users:#})
        (( $#users )) && compadd -S '' -- "${users[@]/%/:}"
        _files
}

_carrel_verbs() {
        local -a verbs=(${(f)"$(carrel --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\)  *\(.*\)/\1:\2/p')"})
        _describe verb verbs
}

# The long options of the verb's own --help.
_carrel_options() {
        local -a options=(${(f)"$(carrel $1 --help 2>/dev/null |
                sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\)[^ ]* *\(.*\)/\2:\3/p' | sed 's/^\(--[a-z-]*\):[A-Z|a-z=\[\]*  */\1:/')"})
        _describe option options
}

_carrel_value() {
        case $2:$1 in
        *:-o|*:--output) compadd table json ;;
        *:--policy) compadd internet none ;;
        *:--on-conflict) compadd fail replace replace_idle ;;
        image:-f|*:--format) compadd auto docker oci rootfs ;;
        ps:-s|ps:--state) compadd all ended failed running waiting ;;
        ls:-s|ls:--state) compadd frozen lost queued ready retiring starting warm ;;
        kill:-s|kill:--signal) compadd CONT HUP INT KILL QUIT STOP TERM USR1 USR2 ;;
        *:--memory|*:--limit) compadd 256m 512m 1g 2g ;;
        exec:-w|shell:-w|*:--workdir) compadd /tmp /workspace ;;
        *:--socket|*:--archive|*:--packages|*:--sources) _files ;;
        events:-u|*:--user) _carrel_users ;;
        *:--image) _carrel_image_names ;;
        *:--profile) _carrel_profiles ;;
        exec:-e|shell:-e|*:--env) _parameters -g '*export*' ;;
        *:--after|*:--allowed|*:--count|*:--cpus|*:--drain|*:--id|*:--idle|*:--interval|*:--lease|*:--mounts|*:--pids|*:--suite|*:--tail|*:--timeout) ;;
        events:-n|logs:-a|logs:-n|doctor:-a|reap:-i|touch:-l) ;;
        *) return 1 ;;
        esac
        return 0
}

_carrel() {
        local -A opt_args
        local verb='' first='' word i
        integer count=0
        for ((i = 2; i < CURRENT; i++)); do
                word=${words[i]}
                case $word in
                --) _normal -p $words[1]; return ;;
                --socket) opt_args[--socket]=${words[++i]} ;;
                --socket=*) opt_args[--socket]=${word#*=} ;;
                -*=*) ;;
                -o|--output|--policy|--profile|--on-conflict|--format|--state|--signal|--memory|--limit|--workdir|--archive) ((i++)) ;;
                --packages|--sources|--user|--image|--env|--after|--allowed|--count|--cpus|--id|--idle|--interval|--lease) ((i++)) ;;
                --drain|--mounts|--pids|--suite|--tail|--timeout) ((i++)) ;;
                -*) [[ $verb:$word == (exec:-[ew]|shell:-[ew]|image:-f|ps:-s|ls:-s|kill:-s|events:-[un]|logs:-[an]|doctor:-a|reap:-i|touch:-l) ]] && ((i++)) ;;
                *) if [[ -z $verb ]]; then verb=$word; else first=${first:-$word}; ((count++)); fi ;;
                esac
        done
        _carrel_value "${words[CURRENT - 1]}" "$verb" && return
        if [[ ${words[CURRENT]} == -* ]]; then _carrel_options $verb; return; fi
        case $verb:$count in
        :*|help:0) _carrel_verbs ;;
        ensure:*|freeze:*|rm:*|thaw:*|touch:*|exec:0|fork:0|inspect:0|ps:0|shell:0|stats:0|why:0) _carrel_users ;;
        cp:[01]) _carrel_places ;;
        kill:*) _carrel_running ;;
        logs:0) _carrel_execs ;;
        image:0) compadd build import inspect ls pull rm ;;
        snapshot:0) compadd create ls restore rm ;;
        snapshot:1) _carrel_users ;;
        image:*)
                case $first:$count in
                rm:*|inspect:1) _carrel_image_names ;;
                import:1) _files ;;
                esac
                ;;
        esac
}

_carrel "$@"
