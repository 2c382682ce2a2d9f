// Older kernels: what a version of Linux does not have yet. A program is looked at as it is loaded, before the verifier
// follows its paths; the tables say when each thing came.

import type { ProgLoadAttr } from '../bpf/bpf.js';
import { Errno } from '../bpf/errno.js';
import { AttachType, MapType, ProgFlag, ProgType, progTypeName } from '../bpf/types.js';
import { helperSignature } from './verifier/tables/helper-signatures.js';
import {
  attachTypeSince,
  type Feature,
  featureSince,
  hasSince,
  limits,
  mapTypeSince,
  progTypeSince,
} from './verifier/tables/since.js';

/** The kernel that a program is judged for. */
export interface Profile {
  /** `5.15` or `5.15.3`. */
  readonly version: string;
}

/** Why a load is refused. */
export interface TooNew {
  readonly errno: Errno;
  readonly message: string;
}

/** The only way of their program type when it came: loaders leave the word out where a kernel does not know it yet. */
const OPTIONAL: ReadonlySet<AttachType> = new Set([AttachType.Xdp, AttachType.SkReuseportSelect]);

const nameIn = (types: Readonly<Record<string, number>>, type: number): string | undefined =>
  Object.entries(types).find(([, value]) => value === type)?.[0];

const versionOf = (table: Readonly<Partial<Record<string, string>>>, name: string | undefined) =>
  name === undefined ? undefined : table[name];

/** Why a kernel cannot make a map of this type; undefined when it can. */
export function mapTooNew(type: MapType, { version }: Profile): string | undefined {
  const name = nameIn(MapType, type);
  const since = versionOf(mapTypeSince, name);
  if (since === undefined || hasSince(version, since)) return undefined;
  return `maps of type ${name} came with Linux ${since}, and this is ${version}`;
}

const lastLimits = ({ version }: Profile) => limits.findLast(({ since }) => hasSince(version, since));

/** Instructions that the verifier looks at along all paths before it gives up. */
export const verifiedLimit = (profile: Profile): number => lastLimits(profile)?.verified ?? 0;

/** What in a load is younger than the kernel; undefined when nothing is. */
export function programTooNew(attr: ProgLoadAttr, profile: Profile): TooNew | undefined {
  const { version } = profile;
  const invalid = (message: string): TooNew => ({ errno: Errno.EINVAL, message });
  const type = versionOf(progTypeSince, nameIn(ProgType, attr.type));
  if (type !== undefined && !hasSince(version, type)) {
    return invalid(
      `programs of type ${progTypeName(attr.type)} came with Linux ${type}, and this is ${version}`,
    );
  }
  const attach = attr.expectedAttachType ?? 0;
  const said = attach !== 0 && !OPTIONAL.has(attach as AttachType);
  const attachName = said ? nameIn(AttachType, attach) : undefined;
  const attachSince = versionOf(attachTypeSince, attachName);
  if (attachSince !== undefined && !hasSince(version, attachSince)) {
    return invalid(`attach type ${attachName} came with Linux ${attachSince}, and this is ${version}`);
  }
  const slots = attr.instructions.length >> 3;
  const most = lastLimits(profile)?.instructions ?? 0;
  if (slots > most) {
    return {
      errno: Errno.E2BIG,
      message: `Linux ${version} takes ${most} instructions, and these are ${slots}`,
    };
  }
  if (((attr.flags ?? 0) & ProgFlag.Sleepable) !== 0) {
    const missing = lacking('sleepable', version);
    if (missing) return invalid(`sleepable programs ${missing}`);
  }
  return instructionsTooNew(attr.instructions, profile);
}

/** `came with Linux 5.10, and this is 5.4`; undefined when the kernel has the feature. */
const lacking = (feature: Feature, version: string): string | undefined =>
  hasSince(version, featureSince[feature])
    ? undefined
    : `came with Linux ${featureSince[feature]}, and this is ${version}`;

function instructionsTooNew(bytes: Uint8Array, { version }: Profile): TooNew | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = bytes.length >> 3;
  for (let slot = 0; slot < slots; slot++) {
    const code = view.getUint8(slot * 8);
    const src = view.getUint8(slot * 8 + 1) >> 4;
    const off = view.getInt16(slot * 8 + 2, true);
    const imm = view.getInt32(slot * 8 + 4, true);
    const errno = Errno.EINVAL;
    const refuse = (what: string, why: string): TooNew => ({ errno, message: `${slot}: ${what} ${why}` });
    if (code === 0x85 && src === 0) {
      const helper = helperSignature(imm);
      if (helper?.since !== undefined && !hasSince(version, helper.since)) {
        const why = `bpf_${helper.name} came with Linux ${helper.since}, and this is ${version}`;
        return { errno, message: `${slot}: invalid func unknown#${imm}: ${why}` };
      }
    }
    const used = featureOf(code, src, off, imm);
    const missing = used && lacking(used.feature, version);
    if (missing) return refuse(used.what, missing);
    if (code === 0x18) slot++;
  }
  if (lacking('boundedLoops', version)) {
    const edge = backEdge(view, slots);
    if (edge) {
      return {
        errno: Errno.EINVAL,
        message: `back-edge from insn ${edge.from} to ${edge.to}: loops ${lacking('boundedLoops', version)}`,
      };
    }
  }
  return undefined;
}

/** What of a later version an instruction needs. */
function featureOf(
  code: number,
  src: number,
  off: number,
  imm: number,
): { feature: Feature; what: string } | undefined {
  const kind = code & 7;
  const operation = code & 0xf0;
  if (code === 0x18) {
    if (src === 2 || src === 6) return { feature: 'globalData', what: 'global variables' };
    if (src === 3) return { feature: 'kernelVariables', what: 'variables of the kernel' };
    if (src === 4) return { feature: 'callbacks', what: 'callbacks' };
    return undefined;
  }
  if (code === 0x85 && src === 1)
    return { feature: 'subprograms', what: 'calls of functions that are not inlined' };
  if (code === 0x85 && src === 2) return { feature: 'kfuncs', what: 'calls of kernel functions' };
  const v4 = { feature: 'instructionsV4', what: 'instructions of -mcpu=v4' } as const;
  if (kind === 6) {
    if (operation === 0xe0) return { feature: 'mayGoto', what: 'may_goto' };
    return operation === 0 ? v4 : { feature: 'jump32', what: '32-bit jumps' };
  }
  // BPF_MEMSX loads.
  if (kind === 1 && (code & 0xe0) === 0x80) return v4;
  if (kind === 7 && operation === 0xd0) return v4;
  const divides = operation === 0x30 || operation === 0x90;
  if ((kind === 7 || kind === 4) && (divides || code === 0xbf || code === 0xbc) && off !== 0) return v4;
  if (kind === 3 && (code & 0xe0) === 0xc0) {
    if (imm === 0x100 || imm === 0x110)
      return { feature: 'loadAcquire', what: 'load-acquire and store-release' };
    if (imm !== 0)
      return { feature: 'atomics', what: 'atomic operations other than an addition without a result' };
  }
  return undefined;
}

/** A jump back to an instruction that is still on the path to it. */
function backEdge(view: DataView, slots: number): { from: number; to: number } | undefined {
  const WHITE = 0;
  const ON_PATH = 1;
  const DONE = 2;
  const colour = new Uint8Array(slots);
  const path: { slot: number; next: number[] }[] = [];
  const enter = (slot: number): void => {
    colour[slot] = ON_PATH;
    path.push({ slot, next: successors(view, slot).filter((to) => to >= 0 && to < slots) });
  };
  for (let start = 0; start < slots; start++) {
    if (colour[start] !== WHITE) continue;
    enter(start);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const to = top.next.pop();
      if (to === undefined) {
        colour[top.slot] = DONE;
        path.pop();
      } else if (colour[to] === ON_PATH) return { from: top.slot, to };
      else if (colour[to] === WHITE) enter(to);
    }
  }
  return undefined;
}

/** The instructions after one, calls not followed. */
function successors(view: DataView, slot: number): number[] {
  const code = view.getUint8(slot * 8);
  const off = view.getInt16(slot * 8 + 2, true);
  const kind = code & 7;
  if (code === 0x18) return [slot + 2];
  if (code === 0x95) return [];
  if (code === 0x05) return [slot + 1 + off];
  if (code === 0x06) return [slot + 1 + view.getInt32(slot * 8 + 4, true)];
  if ((kind === 5 || kind === 6) && code !== 0x85) return [slot + 1, slot + 1 + off];
  return [slot + 1];
}
