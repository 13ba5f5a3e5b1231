# Completion of carrel(1) for fish: verbs, options and their values, user ids, exec ids, images, and files.

# Words from carreld, one a line; a carreld that does not answer does not block the shell.
function __carrel_ask
        set -l socket
        set -l words (commandline -opc)
        for i in (seq (count $words))
                if test "$words[$i]" = --socket; and test $i -lt (count $words)
                        set socket --socket $words[(math $i + 1)]
                end
        end
        timeout 2 carrel $socket $argv -q 2>/dev/null
end

# The words without options and their values: the verb is the first of them.
function __carrel_words
        set -l skip 0
        for word in (commandline -opc)[2..-1]
                if test $skip = 1
                        set skip 0
                else if string match -qr -- '^(-[oewsu]|--(output|socket|policy|profile|on-conflict|format|state|signal|memory|limit|workdir|archive|packages|sources|user|image|env|after|allowed|count|cpus|drain|id|idle|interval|lease|mounts|pids|suite|tail|timeout))$' $word
                        set skip 1
                else if test "$word" = --
                        echo --
                else if not string match -q -- '-*' $word
                        echo $word
                end
        end
end

function __carrel_needs_verb
        test (count (__carrel_words)) = 0
end

# The verb is one of these.
function __carrel_is
        set -l words (__carrel_words)
        test (count $words) -gt 0; and contains -- $words[1] $argv; and not contains -- -- $words
end

# The same, without an operand yet.
function __carrel_begins
        __carrel_is $argv; and test (count (__carrel_words)) = 1
end

function __carrel_image_is
        set -l words (__carrel_words)
        test (count $words) -gt 1; and test $words[1] = image; and contains -- $words[2] $argv
end

complete -c carrel -f
complete -c carrel -s h -l help -d 'show help and exit'
complete -c carrel -s o -l output -x -a 'table json' -d 'how answers are written'
complete -c carrel -s q -l quiet -d 'names only, or nothing'
complete -c carrel -l socket -r -F -d "carreld's socket"

complete -c carrel -n __carrel_needs_verb -s V -l version -d 'show the version'
complete -c carrel -n __carrel_needs_verb -a cp -d 'copy a file or a directory'
complete -c carrel -n __carrel_needs_verb -a doctor -d 'prove the promises on this machine'
complete -c carrel -n __carrel_needs_verb -a ensure -d 'give each user a running carrel'
complete -c carrel -n __carrel_needs_verb -a events -d 'follow what happens'
complete -c carrel -n __carrel_needs_verb -a exec -d "run a program in the user's carrel"
complete -c carrel -n __carrel_needs_verb -a fork -d 'copy the files of a user to another'
complete -c carrel -n __carrel_needs_verb -a freeze -d 'freeze carrels until their next use'
complete -c carrel -n __carrel_needs_verb -a help -d 'explain carrel, or one verb'
complete -c carrel -n __carrel_needs_verb -a image -d 'make, bring, list and remove images'
complete -c carrel -n __carrel_needs_verb -a info -d "show carreld's state"
complete -c carrel -n __carrel_needs_verb -a inspect -d 'show everything about one carrel'
complete -c carrel -n __carrel_needs_verb -a kill -d 'send a signal to an exec'
complete -c carrel -n __carrel_needs_verb -a logs -d 'show what a detached exec has written'
complete -c carrel -n __carrel_needs_verb -a ls -d 'list the carrels'
complete -c carrel -n __carrel_needs_verb -a policy -d 'show the egress policy'
complete -c carrel -n __carrel_needs_verb -a ps -d 'list the programs that run'
complete -c carrel -n __carrel_needs_verb -a reap -d 'retire idle carrels now'
complete -c carrel -n __carrel_needs_verb -a rm -d 'remove carrels'
complete -c carrel -n __carrel_needs_verb -a shell -d "open a shell in the user's carrel"
complete -c carrel -n __carrel_needs_verb -a snapshot -d "keep copies of a user's files"
complete -c carrel -n __carrel_needs_verb -a stats -d 'show what carrels use now'
complete -c carrel -n __carrel_needs_verb -a sweep -d 'remove orphans now'
complete -c carrel -n __carrel_needs_verb -a thaw -d 'thaw carrels, whoever has frozen them'
complete -c carrel -n __carrel_needs_verb -a touch -d 'mark carrels as used, or lease them'
complete -c carrel -n __carrel_needs_verb -a version -d 'show the versions'
complete -c carrel -n __carrel_needs_verb -a why -d 'say why a carrel is in its state'

complete -c carrel -n '__carrel_is ensure freeze rm thaw touch' -a '(__carrel_ask ls)'
complete -c carrel -n '__carrel_begins exec fork inspect ps shell stats why' -a '(__carrel_ask ls)'
complete -c carrel -n '__carrel_is kill' -a '(__carrel_ask ps)'
complete -c carrel -n '__carrel_begins logs' -a '(__carrel_ask ps -a)'
complete -c carrel -n '__carrel_begins help' -a 'cp doctor ensure events exec fork freeze help image info inspect kill logs ls policy ps reap rm shell snapshot stats sweep thaw touch version why'
complete -c carrel -n '__carrel_begins snapshot' -a 'create ls restore rm'
complete -c carrel -n '__carrel_begins image' -a 'build import inspect ls pull rm'
complete -c carrel -n '__carrel_image_is inspect rm' -a '(__carrel_ask image ls)'
complete -c carrel -n '__carrel_image_is import' -F
complete -c carrel -n '__carrel_is cp' -F
complete -c carrel -n '__carrel_is cp' -a '(__carrel_ask ls | string replace -r "\$" :)'

complete -c carrel -n '__carrel_is ensure' -l policy -x -a 'internet none' -d 'egress policy'
complete -c carrel -n '__carrel_is ensure' -l on-conflict -x -a 'fail replace replace_idle' -d 'if it runs with another spec'
complete -c carrel -n '__carrel_is ensure exec shell' -l profile -x -a '(__carrel_ask info)' -d "a profile of carreld's settings"
complete -c carrel -n '__carrel_is ensure' -l image -x -a '(__carrel_ask image ls)' -d 'image of the container'
complete -c carrel -n '__carrel_is ensure' -l memory -x -a '256m 512m 1g 2g' -d 'memory including swap'
complete -c carrel -n '__carrel_is ensure' -l cpus -x -d CPUs
complete -c carrel -n '__carrel_is ensure' -l mounts -x -d "mount sets of carreld's settings"
complete -c carrel -n '__carrel_is ensure' -l pids -x -d processes
complete -c carrel -n '__carrel_is exec shell' -s e -l env -x -a '(set -nx)' -d 'set a variable'
complete -c carrel -n '__carrel_is exec shell' -s w -l workdir -x -a '/tmp /workspace' -d 'working directory'
complete -c carrel -n '__carrel_is exec' -s d -l detach -d "print the exec's id and leave the program running"
complete -c carrel -n '__carrel_is exec' -s i -l interactive -d 'pass stdin on'
complete -c carrel -n '__carrel_is exec' -s n -l no-stdin -d 'do not read stdin'
complete -c carrel -n '__carrel_is exec' -s t -l tty -d 'connect this terminal'
complete -c carrel -n '__carrel_is exec' -l id -x -d 'your own id'
complete -c carrel -n '__carrel_is exec' -l drain -x -d seconds
complete -c carrel -n '__carrel_is exec' -l timeout -x -d seconds
complete -c carrel -n '__carrel_is ls' -l usage -d 'CPU time, memory and tasks, too'
complete -c carrel -n '__carrel_is stats' -l interval -x -d seconds
complete -c carrel -n '__carrel_is stats' -l watch -d 'again and again'
complete -c carrel -n '__carrel_is cp' -s a -l archive -d 'no effect'
complete -c carrel -n '__carrel_is cp' -s r -l recursive -d 'no effect'
complete -c carrel -n '__carrel_is cp' -l limit -x -d 'stop above this size'
complete -c carrel -n '__carrel_is doctor' -s a -l allowed -x -d 'a target the policy allows'
complete -c carrel -n '__carrel_is events' -s n -l count -x -d 'end after so many'
complete -c carrel -n '__carrel_is events' -s u -l user -x -a '(__carrel_ask ls)' -d 'only events of this user'
complete -c carrel -n '__carrel_image_is build' -l archive -r -F -d 'write the archive and import nothing'
complete -c carrel -n '__carrel_image_is build' -l packages -r -F -d 'names of packages'
complete -c carrel -n '__carrel_image_is build' -l sources -r -F -d 'sources.list lines'
complete -c carrel -n '__carrel_image_is build' -l suite -x -d 'the Debian release'
complete -c carrel -n '__carrel_image_is pull' -l insecure -d 'plain HTTP, or a certificate that nobody vouches for'
complete -c carrel -n '__carrel_image_is pull' -l timeout -x -d 'seconds'
complete -c carrel -n '__carrel_image_is import' -s f -l format -x -a 'auto docker oci rootfs' -d 'what the archive is'
complete -c carrel -n '__carrel_is kill' -s s -l signal -x -a 'CONT HUP INT KILL QUIT STOP TERM USR1 USR2' -d signal
complete -c carrel -n '__carrel_is logs' -s a -l after -x -d 'only events after this one'
complete -c carrel -n '__carrel_is logs' -s f -l follow -d 'follow until the program ends'
complete -c carrel -n '__carrel_is logs' -s n -l tail -x -d 'only the last lines'
complete -c carrel -n '__carrel_is logs' -l raw -d 'pass escape sequences on'
complete -c carrel -n '__carrel_is ls' -s a -l all -d 'warm carrels, too'
complete -c carrel -n '__carrel_is ls' -s s -l state -x -a 'frozen lost queued ready retiring starting warm' -d state
complete -c carrel -n '__carrel_is ps' -s s -l state -x -a 'all ended failed running waiting' -d state
complete -c carrel -n '__carrel_is ps' -s a -l all -d 'also waiting and finished ones'
complete -c carrel -n '__carrel_is reap' -s i -l idle -x -d seconds
complete -c carrel -n '__carrel_is rm' -s a -l all -d "every user's carrel"
complete -c carrel -n '__carrel_is rm' -l files -d 'remove the files for good, too'
complete -c carrel -n '__carrel_is rm' -s f -l force -d 'ignore users without a carrel'
complete -c carrel -n '__carrel_is rm' -s y -l yes -d 'with --all or --files: do not ask'
complete -c carrel -n '__carrel_is touch' -s l -l lease -x -d seconds
