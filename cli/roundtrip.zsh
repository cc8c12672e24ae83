#compdef roundtrip
# zsh takes bash's completion, which `roundtrip reference completion` prints.
autoload -U +X bashcompinit && bashcompinit
source <(roundtrip reference completion)
