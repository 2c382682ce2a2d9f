// `net attach` and `net detach`: XDP programs by netlink, tcx programs by BPF_PROG_ATTACH; no link holds either.

import type { Bpf } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { AttachFlag, AttachType, XdpFlag } from '../../bpf/types.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { takeProg, withFds } from '../objects.js';
import { refusal } from '../refusal.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';
import { takeDevice } from './device.js';

/** Where a program goes, by the word for it; an abbreviation means the first that it fits. */
type Place =
  | { name: string; kind: 'xdp'; mode: number }
  | { name: string; kind: 'tcx'; attachType: AttachType };

const PLACES: readonly Place[] = [
  { name: 'xdp', kind: 'xdp', mode: 0 },
  { name: 'xdpgeneric', kind: 'xdp', mode: XdpFlag.SkbMode },
  { name: 'xdpdrv', kind: 'xdp', mode: XdpFlag.DrvMode },
  { name: 'xdpoffload', kind: 'xdp', mode: XdpFlag.HwMode },
  { name: 'tcx_ingress', kind: 'tcx', attachType: AttachType.TcxIngress },
  { name: 'tcx_egress', kind: 'tcx', attachType: AttachType.TcxEgress },
];

/** Every mistake in the arguments. */
const INVALID = statusOfErrno(Errno.EINVAL);

function takePlace(args: Arguments): Place {
  const word = args.next('ATTACH_TYPE');
  const place = PLACES.find(({ name }) => isPrefix(word, name));
  if (place === undefined) throw new ToolError(`invalid net attach/detach type: ${word}`, INVALID);
  return place;
}

/** Takes `overwrite` or `prepend`, if it is there and means something at this place. */
function takeOption(args: Arguments, place: Place): 'overwrite' | 'prepend' | undefined {
  if (args.left === 0) return undefined;
  if (args.take('overwrite')) {
    if (place.kind === 'xdp') return 'overwrite';
    throw new ToolError("'overwrite' is only supported for xdp types", INVALID);
  }
  if (args.take('prepend')) {
    if (place.kind === 'tcx') return 'prepend';
    throw new ToolError("'prepend' is only supported for tcx_ingress/tcx_egress", INVALID);
  }
  throw new ToolError(`expected 'overwrite' or 'prepend', got: '${args.next()}'?`, INVALID);
}

export async function attach(tool: Tool, args: Arguments): Promise<undefined> {
  args.require(5, INVALID);
  const bpf = await tool.bpf;
  const place = takePlace(args);
  const prog = await takeProg(tool, args).catch((error: unknown) => {
    throw error instanceof ToolError ? new ToolError(error.message, INVALID) : error;
  });
  await withFds(bpf, [prog], async () => {
    const { ifindex } = await takeDevice(bpf, args, INVALID);
    const option = takeOption(args, place);
    await tried(tool, `interface ${place.name} attach failed`, async () => {
      if (place.kind === 'xdp') {
        const flags = place.mode | (option === 'overwrite' ? 0 : XdpFlag.UpdateIfNoexist);
        await bpf.xdpSet({ ifindex, prog, flags });
      } else {
        const flags = option === 'prepend' ? AttachFlag.Before : 0;
        await bpf.progAttach({ ifindex, prog, attachType: place.attachType, flags });
      }
    });
  });
  tool.done();
}

export async function detach(tool: Tool, args: Arguments): Promise<undefined> {
  args.require(3, INVALID);
  const bpf: Bpf = await tool.bpf;
  const place = takePlace(args);
  const { ifindex } = await takeDevice(bpf, args, INVALID);
  await tried(tool, `interface ${place.name} detach failed`, async () => {
    if (place.kind === 'xdp') {
      await bpf.xdpSet({ ifindex, prog: null, flags: place.mode | XdpFlag.UpdateIfNoexist });
    } else {
      await bpf.progDetach({ ifindex, attachType: place.attachType });
    }
  });
  tool.done();
}

async function tried(tool: Tool, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw await refusal(tool, error, what);
  }
}
