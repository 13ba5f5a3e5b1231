# Completion of carrel(1) for bash: verbs, options, user ids and exec ids.

_carrel_ids() {
        local socket=$1
        shift
        timeout 2 carrel ${socket:+--socket "$socket"} "$@" -q 2>/dev/null
}

# The actions of `carrel image`, or the names behind one.
_carrel_images() {
        case " $1 " in
        *' rm '* | *' inspect '*) timeout 2 carrel ${2:+--socket "$2"} image ls -q 2>/dev/null ;;
        *' import '*) compgen -f ;;
        *' build '*) ;;
        *) echo 'build import inspect ls rm' ;;
        esac
}

_carrel() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
        local verbs='cp doctor ensure events exec help image info inspect kill logs ls policy ps reap rm shell sweep touch version why'
        local verb='' socket='' words='' i

        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --) return ;; # behind it is the program's own command line
                --socket) socket=${COMP_WORDS[++i]} ;;
                -o | --output) ((i++)) ;;
                -*) ;;
                *) verb=${verb:-${COMP_WORDS[i]}} ;;
                esac
        done
        case $previous in
        -o | --output) words='table json' ;;
        --socket)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
        --policy) words='internet none' ;;
        --on-conflict) words='fail replace' ;;
        --format) words='auto docker oci rootfs' ;;
        --state)
                case $verb in
                ps) words='all ended failed running waiting' ;;
                *) words='lost queued ready retiring starting' ;;
                esac
                ;;
        *)
                if [[ $current == -* ]]; then
                        words=$(carrel ${verb:+"$verb"} --help 2>/dev/null | grep -Eo -- '--[a-z-]+' | sort -u)
                else
                        case $verb in
                        '') words=$verbs ;;
                        help) words=$verbs ;;
                        ensure | exec | inspect | ps | rm | shell | touch | why) words=$(_carrel_ids "$socket" ls) ;;
                        cp)
                                mapfile -t COMPREPLY < <(compgen -f -- "$current"
                                        compgen -S : -W "$(_carrel_ids "$socket" ls)" -- "$current")
                                return
                                ;;
                        image) words=$(_carrel_images "${COMP_WORDS[*]}" "$socket") ;;
                        kill) words=$(_carrel_ids "$socket" ps) ;;
                        logs) words=$(_carrel_ids "$socket" ps -a) ;;
                        esac
                fi
                ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _carrel carrel
