// `token`: what bpf file systems delegate to whoever makes a token of them, as their mount options say.

import type { Arguments } from './arguments.js';
import type { CommandTable, Tool } from './tool.js';
import { helpCommand, SPEC_OPTIONS, usageText } from './usage.js';

/** What may be delegated, by the name that it is shown under. */
const RIGHTS: readonly (readonly [shown: string, option: string])[] = [
  ['allowed_cmds', 'delegate_cmds'],
  ['allowed_maps', 'delegate_maps'],
  ['allowed_progs', 'delegate_progs'],
  ['allowed_attachs', 'delegate_attachs'],
];
const ITEMS_PER_LINE = 4;

interface Mount {
  directory: string;
  /** By the name that it is shown under. */
  rights: Readonly<Record<string, string[]>>;
}

/** Blanks and the like are escaped in /proc/mounts: `\040`. */
export const unescapeMount = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The bpf file systems of a list of mounts that delegate anything. */
function delegatingMounts(mounts: string): Mount[] {
  return mounts.split('\n').flatMap((line) => {
    const [, directory = '', type = '', options = ''] = line.split(' ');
    const set = options.split(',').map((option) => option.split('='));
    if (!type.startsWith('bpf') || !RIGHTS.some(([, name]) => set.some(([key]) => key === name))) return [];
    const valuesOf = (name: string): string[] =>
      (set.find(([key]) => key === name)?.[1] ?? '').split(':').filter((value) => value !== '');
    const rights = Object.fromEntries(RIGHTS.map(([shown, name]) => [shown, valuesOf(name)]));
    return [{ directory: unescapeMount(directory), rights }];
  });
}

/** `\n\t  map_create          prog_load ...`, four a line. */
const columns = (items: readonly string[]): string =>
  items.map((item, i) => (i % ITEMS_PER_LINE === 0 ? '\n\t  ' : '') + item.padEnd(20)).join('');

async function show(tool: Tool, args: Arguments): Promise<undefined> {
  if (args.left > 0) throw args.unexpected();
  const bpf = await tool.bpf;
  const mounts = await bpf.readFile('/proc/mounts').then(
    (bytes) => new TextDecoder().decode(bytes),
    // A kernel that tells no mounts delegates nothing.
    () => '',
  );
  tool.json?.startArray();
  for (const { directory, rights } of delegatingMounts(mounts)) {
    if (tool.json) tool.json.value({ token_info: directory, ...rights });
    else {
      const lines = Object.entries(rights).map(([shown, items]) => `\n\t${shown}:${columns(items)}`);
      tool.print(`token_info  ${directory}${lines.join('')}\n`);
    }
  }
  tool.json?.endArray();
}

export const tokenCommands: CommandTable = {
  commands: [{ name: 'show', run: show }, { name: 'list', run: show }, helpCommand],
  usage: usageText(['% token { show | list }', '% token help', `${SPEC_OPTIONS} }`, '']),
};
