// SPDX-License-Identifier: Apache-2.0
// Completion of `godwit` for bash. Tables of the program in a script that needs no library of completions.
import { completedValue } from './completed-values.ts';
import { allCommands, type DocumentedCommand, type DocumentedProgram } from './documented-program.ts';

export function bashCompletion(program: DocumentedProgram): string {
  const commands = allCommands(program);
  return `# SPDX-License-Identifier: Apache-2.0
# Completion of godwit for bash. Made by scripts/manual from the program itself.

# Names of the commands and options that may follow a command.
_godwit_names() {
  case "$1" in
${commands.map((command) => `    ${pattern(command)}) echo ${quoted(namesAfter(command).join(' '))} ;;`).join('\n')}
  esac
}

# What may be the value of an option: words, and @files for paths. Nothing where the option takes no value.
_godwit_values() {
  case "$1 $2" in
${commands.flatMap(valueCases).join('\n')}
  esac
}

# What the command itself takes, after its options.
_godwit_arguments() {
  case "$1" in
${commands.flatMap(argumentCases).join('\n')}
  esac
}

${FUNCTION}`;
}

const pathOf = ({ path }: DocumentedCommand): string => ['godwit', ...path].join(' ');
const pattern = (command: DocumentedCommand): string => quoted(pathOf(command));
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function namesAfter({ commands, options, path }: DocumentedCommand): string[] {
  const children = commands.map((child) => child.path.at(-1) ?? '');
  const help = commands.length > 0 && path.length === 0 ? ['help'] : [];
  return [...children, ...help, ...options.flatMap(({ names }) => names)];
}

function valueCases(command: DocumentedCommand): string[] {
  return command.options.flatMap(({ names, value }) => {
    if (value === null) return [];
    const { words, files } = completedValue(value);
    const cases = names.map((name) => quoted(`${pathOf(command)} ${name}`)).join(' | ');
    // Known to take a value even where nothing can be said about it.
    return [`    ${cases}) echo ${quoted([...words, ...(files ? ['@files'] : ['@value'])].join(' '))} ;;`];
  });
}

function argumentCases(command: DocumentedCommand): string[] {
  const takesFile = command.arguments.some(({ name }) => completedValue(name).files);
  return takesFile ? [`    ${pattern(command)}) echo @files ;;`] : [];
}

/** Bash itself; the tables are above it. */
const FUNCTION = `_godwit() {
  COMPREPLY=()
  # The words as the shell will see them: bash's own list is divided at : and = too. Quotes are not looked at.
  local line="\${COMP_LINE:0:COMP_POINT}" words word given part
  read -ra words <<<"$line"
  word=''
  [[ $line == *[[:space:]] || \${#words[@]} -lt 2 ]] || { word="\${words[-1]}" && unset 'words[-1]'; }

  # Which command it is, and whether its last option waits for a value.
  local command=godwit waiting='' names
  for part in "\${words[@]:1}"; do
    if [[ -n $waiting ]]; then
      waiting=''
    elif [[ $part == -* ]]; then
      [[ $part != *=* && -n $(_godwit_values "$command" "$part") ]] && waiting="$part"
    else
      names=" $(_godwit_names "$command") "
      [[ $names == *" $part "* ]] && command="$command $part"
    fi
  done

  # What is completed now, and what of the word stands before it.
  local before='' choices
  if [[ -z $waiting && $word == --*=* ]]; then
    waiting="\${word%%=*}" before="\${word%%=*}=" word="\${word#*=}"
  fi
  if [[ -n $waiting ]]; then
    choices=$(_godwit_values "$command" "$waiting")
  elif [[ $command == 'godwit help' ]]; then
    choices=$(_godwit_names godwit)
  else
    choices=$(_godwit_names "$command")
    [[ $word == -* ]] || choices="$choices $(_godwit_arguments "$command")"
  fi

  local choice reply=()
  for choice in $choices; do
    if [[ $choice == @files ]]; then
      compopt -o filenames 2>/dev/null
      while read -r given; do reply+=("$before$given"); done < <(compgen -f -- "$word")
    elif [[ $choice == *: && $word == "$choice"* ]]; then
      compopt -o filenames 2>/dev/null
      [[ $choice == tcp: ]] && continue
      while read -r given; do reply+=("$before$choice$given"); done < <(compgen -f -- "\${word#"$choice"}")
    elif [[ $choice != @* && $choice == "$word"* && ( -n $waiting || -n $word || $choice != -* ) ]]; then
      [[ $choice == *: ]] && compopt -o nospace 2>/dev/null
      reply+=("$before$choice")
    fi
  done

  # Bash replaces only what follows the last : or = of the word, where it divides words at them.
  local last="\${COMP_WORDS[COMP_CWORD]}" whole="$before$word"
  [[ $last == [:=] ]] && last=''
  for choice in "\${reply[@]}"; do COMPREPLY+=("\${choice#"\${whole%"$last"}"}"); done
}

complete -F _godwit godwit
`;
