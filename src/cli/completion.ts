// Shell completion. The shell asks the command itself what may stand next: Skep's own commands know their options, those of
// bpftool's grammar their usage texts. Names and ids come from the kernel if it is running; none is started for that.

import type { Command, Option } from 'commander';
import type { Bpf } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { Grammar } from '../bpftool/grammar.js';
import { TABLES } from '../bpftool/main.js';
import { OBJECT_NAMES } from '../bpftool/names.js';
import type { Tool } from '../bpftool/tool.js';
import { UsageError } from './errors.js';
import { OWN_COMMANDS } from './tool-line.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that a shell reads; where nothing else fits it offers files. */
const scripts: Readonly<Record<Shell, string>> = {
  bash: `# skep completion bash: source this from ~/.bashrc, or put it into /etc/bash_completion.d
_skep_words() {
  local IFS=$'\\n'
  COMPREPLY=($(skep completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _skep_words skep
`,
  zsh: `#compdef skep
# skep completion zsh: put this as _skep into a folder of $fpath, or source it after compinit
_skep_words() {
  local -a found
  found=("\${(@f)$(skep completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then
    compadd -a found
  else
    _files
  fi
}
compdef _skep_words skep
`,
  fish: `# skep completion fish: put this into ~/.config/fish/completions/skep.fish
function __skep_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    skep completion words -- $before[2..-1] "$current" 2>/dev/null
end
complete -c skep -a '(__skep_words)'
`,
};

export const completionScript = (shell: Shell): string => scripts[shell];

/** Options of bpftool's grammar. */
const TOOL_OPTIONS = [
  '--json',
  '--pretty',
  '--bpffs',
  '--mapcompat',
  '--nomount',
  '--debug',
  '--use-loader',
  '--base-btf',
  '--version',
  '--kernel',
];

/** What the completion asks of its surroundings. */
export interface CompletionContext {
  /** Skep's own commands. */
  program: Command;
  /** The kernel that commands talk to, if it is running. */
  kernel: () => Promise<Bpf | undefined>;
}

/**
 * What may stand in place of the last word, which may be empty. Nothing where a file is expected, or where nothing is
 * known: the shell then offers files.
 */
export async function completions(words: readonly string[], context: CompletionContext): Promise<string[]> {
  const current = words.at(-1) ?? '';
  const found = await candidates(withoutKernel(words.slice(0, -1)), current, context);
  return [...new Set(found)].filter((word) => word.startsWith(current)).sort();
}

/** The kernel's name may stand anywhere. */
const withoutKernel = (words: readonly string[]): string[] =>
  words.filter(
    (word, i) => word !== '--kernel' && words[i - 1] !== '--kernel' && !word.startsWith('--kernel='),
  );

async function candidates(
  given: readonly string[],
  current: string,
  context: CompletionContext,
): Promise<string[]> {
  const [first, ...behind] = given.filter((word) => !word.startsWith('-'));
  if (first === undefined) return current.startsWith('-') ? TOOL_OPTIONS : [...OWN_COMMANDS, ...OBJECT_NAMES];
  if ((OWN_COMMANDS as readonly string[]).includes(first))
    return ownCandidates(given, current, context.program);
  if (current.startsWith('-')) return TOOL_OPTIONS;
  return toolCandidates(first, behind, context);
}

const flags = ({ long, short }: Option): string[] => [long ?? short ?? ''].filter((flag) => flag !== '');

function ownCandidates(given: readonly string[], current: string, program: Command): string[] {
  let command = program;
  for (const word of given) {
    if (word.startsWith('-')) continue;
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    command = next;
  }
  const last = given.at(-1) ?? '';
  const option = command.options.find(({ long, short }) => last !== '' && (long === last || short === last));
  if (option && (option.required || option.optional)) return [...(option.argChoices ?? [])];
  if (current.startsWith('-')) return [...command.options.flatMap(flags), '--help'];
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const subcommands = command.commands.map((one) => one.name());
  return given.at(-1) === 'help' ? program.commands.map((one) => one.name()) : [...subcommands, ...choices];
}

async function toolCandidates(
  first: string,
  behind: readonly string[],
  context: CompletionContext,
): Promise<string[]> {
  const name = OBJECT_NAMES.find((one) => one.startsWith(first));
  if (name === 'batch') return behind.length === 0 ? ['file'] : [];
  const load = name && TABLES[name];
  if (name === undefined || load === undefined) return [];
  const table = await load();
  const [typed, ...rest] = behind;
  if (typed === undefined) return table.commands.map((command) => command.name);
  const command = table.commands.find((one) => one.name.startsWith(typed));
  if (command === undefined) return [];
  // The texts want of the tool no more than its name.
  const usage = table.usage({ host: { name: 'skep' } } as Tool);
  const { words, values } = new Grammar(usage, `skep ${name}`).after(command.name, rest);
  const known = await Promise.all(values.map((value) => valuesOf(value, context)));
  return [...words, ...known.flat()];
}

/** What there is of a kind of value in the kernel. */
async function valuesOf(value: string, { kernel }: CompletionContext): Promise<string[]> {
  const source = sources[value.replace(/^STRUCT_OPS_MAP/, 'MAP')];
  const bpf = source && (await kernel());
  if (source === undefined || bpf === undefined) return [];
  try {
    return await source(bpf);
  } catch (error) {
    if (error instanceof BpfError) return [];
    throw error;
  }
}

type Fact<T> = (info: T) => string | number;

/** A fact of every object that `next` leads to. */
async function facts<T>(
  bpf: Bpf,
  next: (id: number) => Promise<number>,
  open: (id: number) => Promise<number>,
  info: (fd: number) => Promise<T>,
  fact: Fact<T>,
): Promise<string[]> {
  const found: string[] = [];
  for (let id = 0; ; ) {
    try {
      id = await next(id);
      const fd = await open(id);
      found.push(String(fact(await info(fd))));
      await bpf.close(fd);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return found;
    }
  }
}

const progs = (bpf: Bpf, fact: Fact<Awaited<ReturnType<Bpf['progInfo']>>>): Promise<string[]> =>
  facts(
    bpf,
    (id) => bpf.progGetNextId(id),
    (id) => bpf.progGetFdById(id),
    (fd) => bpf.progInfo(fd),
    fact,
  );
const maps = (bpf: Bpf, fact: Fact<Awaited<ReturnType<Bpf['mapInfo']>>>): Promise<string[]> =>
  facts(
    bpf,
    (id) => bpf.mapGetNextId(id),
    (id) => bpf.mapGetFdById(id),
    (fd) => bpf.mapInfo(fd),
    fact,
  );

const sources: Readonly<Record<string, (bpf: Bpf) => Promise<string[]>>> = {
  PROG_ID: (bpf) => progs(bpf, ({ id }) => id),
  PROG_NAME: (bpf) => progs(bpf, ({ name }) => name),
  PROG_TAG: (bpf) => progs(bpf, ({ tag }) => tag),
  MAP_ID: (bpf) => maps(bpf, ({ id }) => id),
  MAP_NAME: (bpf) => maps(bpf, ({ name }) => name),
  LINK_ID: (bpf) =>
    facts(
      bpf,
      (id) => bpf.linkGetNextId(id),
      (id) => bpf.linkGetFdById(id),
      (fd) => bpf.linkInfo(fd),
      ({ id }) => id,
    ),
  BTF_ID: (bpf) =>
    facts(
      bpf,
      (id) => bpf.btfGetNextId(id),
      (id) => bpf.btfGetFdById(id),
      (fd) => bpf.btfInfo(fd),
      ({ id }) => id,
    ),
  DEVNAME: async (bpf) => (await bpf.netDevices()).map(({ name }) => name),
};

/** `skep completion SHELL`, and `skep completion words -- WORD...`, which the scripts call. */
export async function completion(what: string, words: readonly string[], program: Command): Promise<void> {
  const shell = SHELLS.find((one) => one === what);
  if (shell !== undefined) {
    process.stdout.write(completionScript(shell));
    return;
  }
  if (what !== 'words') {
    throw new UsageError(`'${what}' is no shell that is known`, { hint: `Known: ${SHELLS.join(', ')}.` });
  }
  let close = (): void => {};
  const kernel = async (): Promise<Bpf | undefined> => {
    const named = words.indexOf('--kernel');
    const { chosenKernel, LINUX, runningKernel } = await import('./connect.js');
    const name = chosenKernel(named < 0 ? undefined : words[named + 1]);
    if (name === LINUX) return undefined;
    const { kernelPlace } = await import('../node/run-directory.js');
    const running = await runningKernel(kernelPlace(name)).catch(() => undefined);
    if (running) close = () => running.close();
    return running?.bpf;
  };
  try {
    const found = await completions(words, { program, kernel });
    process.stdout.write(found.map((word) => `${word}\n`).join(''));
  } finally {
    close();
  }
}
