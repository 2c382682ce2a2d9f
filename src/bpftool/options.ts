// The options, as getopt_long(3) finds them: anywhere on the line until `--`, several letters in one word, long names by
// any beginning that only one of them has, arguments in the same word or the next.

import type { ToolOptions } from './tool.js';

interface OptionDefinition {
  readonly letter: string;
  readonly long?: string;
  readonly argument?: boolean;
}

const DEFINITIONS: readonly OptionDefinition[] = [
  { letter: 'j', long: 'json' },
  { letter: 'h', long: 'help' },
  { letter: 'p', long: 'pretty' },
  { letter: 'V', long: 'version' },
  { letter: 'f', long: 'bpffs' },
  { letter: 'm', long: 'mapcompat' },
  { letter: 'n', long: 'nomount' },
  { letter: 'd', long: 'debug' },
  { letter: 'L', long: 'use-loader' },
  { letter: 'S', long: 'sign' },
  { letter: 'B', long: 'base-btf', argument: true },
  { letter: 'k', argument: true },
  { letter: 'i', argument: true },
];

/** What looks like an option and is a word of a command: `dump xlated PROG visual --svg FILE`. */
const WORDS: ReadonlySet<string> = new Set(['--svg', '--png']);

export interface ParsedLine {
  options: ToolOptions;
  /** What is no option: the object, the command, their arguments. */
  words: string[];
  helpRequested: boolean;
  versionRequested: boolean;
  /** The first word that is no known option; nothing behind it was looked at. */
  unrecognized: string | undefined;
}

function byLongName(name: string): OptionDefinition | undefined {
  const exact = DEFINITIONS.find(({ long }) => long === name);
  if (exact) return exact;
  const candidates = DEFINITIONS.filter(({ long }) => long?.startsWith(name) === true);
  return candidates.length === 1 ? candidates[0] : undefined;
}

function apply(line: ParsedLine, { letter }: OptionDefinition, argument: string): void {
  const { options } = line;
  switch (letter) {
    case 'p':
      options.pretty = true;
      options.json = true;
      break;
    case 'j':
      options.json = true;
      break;
    case 'h':
      line.helpRequested = true;
      break;
    case 'V':
      line.versionRequested = true;
      break;
    case 'f':
      options.bpffs = true;
      break;
    case 'm':
      options.mapCompat = true;
      break;
    case 'n':
      options.nomount = true;
      break;
    case 'd':
      options.debug = true;
      break;
    case 'L':
      options.useLoader = true;
      break;
    case 'S':
      options.sign = true;
      options.useLoader = true;
      break;
    case 'B':
      options.baseBtf = argument;
      break;
    case 'k':
      options.privateKey = argument;
      break;
    case 'i':
      options.certificate = argument;
      break;
  }
}

/** Takes a line apart. Stops at `-h` and at what is not understood, as the tool does. */
export function parseLine(argv: readonly string[]): ParsedLine {
  const line: ParsedLine = {
    options: {
      json: false,
      pretty: false,
      bpffs: false,
      mapCompat: false,
      nomount: false,
      debug: false,
      useLoader: false,
      baseBtf: undefined,
      sign: false,
      privateKey: undefined,
      certificate: undefined,
    },
    words: [],
    helpRequested: false,
    versionRequested: false,
    unrecognized: undefined,
  };
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === '--') {
      line.words.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-' || WORDS.has(word)) {
      line.words.push(word);
      continue;
    }
    const used = word.startsWith('--') ? long(line, word, argv[at + 1]) : bundle(line, word, argv[at + 1]);
    if (used === undefined) {
      line.unrecognized = word;
      break;
    }
    if (line.helpRequested) break;
    at += used;
  }
  return line;
}

/** How many of the words behind it were used up; undefined when it is not understood. */
function long(line: ParsedLine, word: string, following: string | undefined): number | undefined {
  const [, name = '', given] = word.match(/^--([^=]*)(?:=(.*))?$/s) ?? [];
  const definition = byLongName(name);
  if (definition === undefined) return undefined;
  if (!definition.argument) {
    if (given !== undefined) return undefined;
    apply(line, definition, '');
    return 0;
  }
  const argument = given ?? following;
  if (argument === undefined) return undefined;
  apply(line, definition, argument);
  return given === undefined ? 1 : 0;
}

function bundle(line: ParsedLine, word: string, following: string | undefined): number | undefined {
  for (let at = 1; at < word.length; at++) {
    const definition = DEFINITIONS.find(({ letter }) => letter === word[at]);
    if (definition === undefined) return undefined;
    if (!definition.argument) {
      apply(line, definition, '');
      if (line.helpRequested) return 0;
      continue;
    }
    const rest = word.slice(at + 1);
    const argument = rest === '' ? following : rest;
    if (argument === undefined) return undefined;
    apply(line, definition, argument);
    return rest === '' ? 1 : 0;
  }
  return 0;
}
