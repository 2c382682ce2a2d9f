// `link`: what is attached by links, pinning and detaching them.

import type { Bpf, Fd } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import type { Arguments } from '../arguments.js';
import { parseUnsigned32 } from '../number.js';
import {
  allIds,
  closeAll,
  fdOfId,
  kernelError,
  openPinned,
  pinAny,
  pinnedPaths,
  withFds,
} from '../objects.js';
import type { CommandTable, Tool } from '../tool.js';
import { FAILED, statusOfErrno, ToolError } from '../tool-error.js';
import { helpCommand, SPEC_LINK, SPEC_OPTIONS, usageText } from '../usage.js';
import { describeLink } from './describe.js';
import { Surroundings } from './surroundings.js';

/** Takes `LINK`; the descriptor is to be closed. */
export async function takeLink(tool: Tool, args: Arguments): Promise<Fd> {
  if (args.take('id')) {
    const word = args.next('LINK_ID');
    const id = parseUnsigned32(word);
    if (id === undefined) throw new ToolError(`can't parse ${word} as ID`);
    try {
      return await (await tool.bpf).linkGetFdById(id);
    } catch (error) {
      const status = error instanceof BpfError ? statusOfErrno(error.errno) : FAILED;
      throw kernelError(error, `failed to get link with ID ${id}`, status);
    }
  }
  if (args.take('pinned')) return openPinned(tool, args.next('FILE'), 'link');
  throw new ToolError(`expected 'id' or 'pinned', got: '${args.next('LINK')}'?`);
}

interface Shown {
  around: Surroundings;
  paths: ReadonlyMap<number, readonly string[]>;
}

async function showLink(tool: Tool, bpf: Bpf, link: Fd, { around, paths }: Shown): Promise<void> {
  const info = await bpf.linkInfo(link).catch((error: unknown) => {
    throw kernelError(error, "can't get link info");
  });
  const { text, json } = await describeLink(info, around).catch((error: unknown) => {
    throw kernelError(error, "can't get prog info");
  });
  const pinned = paths.get(info.id) ?? [];
  if (tool.json) tool.json.value({ ...json, pinned: pinned.length > 0 ? [...pinned] : undefined });
  else tool.print(`${text}${pinned.map((path) => `\n\tpinned ${path}`).join('')}\n`);
}

async function show(tool: Tool, args: Arguments): Promise<undefined> {
  const bpf = await tool.bpf;
  const one = args.left === 2;
  if (!one && args.left > 0) throw args.unexpected();
  const shown = { around: new Surroundings(bpf), paths: await pinnedPaths(tool, 'link') };
  if (one) {
    const link = await takeLink(tool, args);
    await withFds(bpf, [link], () => showLink(tool, bpf, link, shown));
    return;
  }
  tool.json?.startArray();
  for await (const id of allIds((after) => bpf.linkGetNextId(after), 'link')) {
    const link = await fdOfId((known) => bpf.linkGetFdById(known), id, 'link');
    if (link !== undefined) await withFds(bpf, [link], () => showLink(tool, bpf, link, shown));
  }
  tool.json?.endArray();
}

/** Whatever goes wrong, the exit status is 1. */
async function detach(tool: Tool, args: Arguments): Promise<undefined> {
  // The line end is in bpftool's message.
  if (args.left !== 2) throw new ToolError('link specifier is invalid or missing\n', 1);
  const bpf = await tool.bpf;
  const link = await takeLink(tool, args).catch((error: unknown) => {
    throw error instanceof ToolError ? new ToolError(error.message, 1) : error;
  });
  try {
    await bpf.linkDetach(link);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`failed link detach: ${errnoMessage(error.errno)}`, 1);
  } finally {
    await closeAll(bpf, [link]);
  }
  tool.done();
}

export const linkCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    helpCommand,
    {
      name: 'pin',
      run: async (tool, args) => {
        await pinAny(tool, args, takeLink);
        return undefined;
      },
    },
    { name: 'detach', run: detach },
  ],
  usage: usageText([
    '% link { show | list }   [LINK]',
    '% link pin        LINK  FILE',
    '% link detach     LINK',
    '% link help',
    '',
    SPEC_LINK,
    `${SPEC_OPTIONS} |`,
    '             {-f|--bpffs} | {-n|--nomount} }',
  ]),
};
