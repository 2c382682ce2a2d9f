// Which of the two grammars a command line is in: Skep's own commands, by their whole names, or bpftool's objects, which
// may be abbreviated. Nothing else is loaded to decide that.

import { OBJECT_NAMES } from '../bpftool/names.js';

/** Skep's own commands. */
export const OWN_COMMANDS = [
  'run',
  'verify',
  'compare',
  'inspect',
  'objdump',
  'doctor',
  'conformance',
  'kernel',
  'dev',
  'cat',
  'ls',
  'rm',
  'mkdir',
  'rmdir',
  'mv',
  'sysctl',
  'completion',
  'help',
] as const;

/** A line of bpftool's grammar. */
export interface ToolLine {
  /** The name under which the tool speaks. */
  name: 'skep' | 'bpftool';
  /** What `--kernel NAME` says, which may stand anywhere. */
  kernel: string | undefined;
  /** The rest of the line. */
  argv: string[];
}

/** Options of bpftool that take the next word. */
const WITH_ARGUMENT = new Set(['-B', '--base-btf', '-k', '-i']);

const isObject = (word: string): boolean => word !== '' && OBJECT_NAMES.some((name) => name.startsWith(word));

/**
 * Takes the line for bpftool's when it is: the file that was started has that name, or the first word that is no option is
 * (the beginning of) an object. Undefined otherwise.
 */
export function toolLine(argv: readonly string[], calledAs: string): ToolLine | undefined {
  const { kernel, rest } = withoutKernel(argv);
  if (/(^|[\\/])bpftool$/.test(calledAs)) return { name: 'bpftool', kernel, argv: rest };
  const [first, second] = wordsOf(rest);
  if (first === undefined) {
    return rest.some((word) => /^-[a-zA-Z]*V/.test(word)) ? { name: 'skep', kernel, argv: rest } : undefined;
  }
  // `skep help prog` is `skep prog help`.
  if (first === 'help' && second !== undefined && !isOwn(second) && isObject(second)) {
    return { name: 'skep', kernel, argv: [second, 'help'] };
  }
  return !isOwn(first) && isObject(first) ? { name: 'skep', kernel, argv: rest } : undefined;
}

const isOwn = (word: string): boolean => OWN_COMMANDS.some((name) => name === word);

/** What is no option of bpftool, nor an argument of one. */
function wordsOf(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') return [...words, ...argv.slice(at + 1)];
    if (WITH_ARGUMENT.has(word)) at++;
    else if (!word.startsWith('-') || word === '-') words.push(word);
  }
  return words;
}

function withoutKernel(argv: readonly string[]): { kernel: string | undefined; rest: string[] } {
  let kernel: string | undefined;
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') {
      rest.push(...argv.slice(at));
      break;
    }
    if (word === '--kernel' && at + 1 < argv.length) kernel = argv[++at];
    else if (word.startsWith('--kernel=')) kernel = word.slice('--kernel='.length);
    else rest.push(word);
  }
  return { kernel, rest };
}
