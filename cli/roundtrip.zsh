#compdef roundtrip
# zsh takes bash's completion, which `roundtrip reference completion` prints; from the second time on without this file.
autoload -U +X bashcompinit && bashcompinit
source <(roundtrip reference completion)
_bash_complete -F _roundtrip
