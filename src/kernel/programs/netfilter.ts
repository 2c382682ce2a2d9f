// Netfilter programs. Their context is struct bpf_nf_ctx: pointers to the kernel's own struct nf_hook_state and struct
// sk_buff, which programs read by BTF. Both are laid out behind the context as the emulated kernel's types have them, and
// behind the latter is the SkbFrame that kernel functions work on (Linux: bpf_prog_test_run_nf).
//
//     | state (8)   skb (8) | nf_hook_state | sk_buff, SKB_BEHIND bytes | SkbFrame and socket |

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import { type KernelMemory, layout, POINTER_BASE } from '../memory/memory.js';
import { kernelTypes } from '../types/index.js';
import {
  execute,
  givenContext,
  placeContext,
  refuse,
  refuseArguments,
  repeats,
  resultOf,
} from './arguments.js';
import { define, plainFrame } from './definition.js';
import type { ProgramRun } from './run.js';
import { type SkbRuntime, View } from './skb-run.js';

const ETHERNET_HEADER = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;
const NF_INET_LOCAL_OUT = 3;
/** struct nf_hook_state. */
const STATE_SIZE = 48;
const STATE = 1024;
const SKB = 2048;
const FRAME = SKB + layout.SKB_BEHIND;

interface Hook {
  readonly hook: number;
  readonly pf: number;
}

function givenHook(context: Uint8Array | undefined): Hook {
  if (!context) return { hook: NF_INET_LOCAL_OUT, pf: NFPROTO_IPV4 };
  if (context.subarray(8).some((byte) => byte !== 0)) refuse('only hook and pf of the context may be set');
  const [hook = 0, pf = 0] = context;
  if (pf !== NFPROTO_IPV4 && pf !== NFPROTO_IPV6) refuse(`pf ${pf} is neither IPv4 nor IPv6`);
  return { hook, pf };
}

/** EtherType of the packet; where it has a link header, that must say what the hook is for. */
function protocolOf(packet: Uint8Array, { hook, pf }: Hook): number {
  const expected = pf === NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6;
  if (hook === NF_INET_LOCAL_OUT) return expected;
  if (packet.length < ETHERNET_HEADER + IPV4_HEADER) refuse('the packet is too short for its headers');
  const found = ((packet[12] ?? 0) << 8) | (packet[13] ?? 0);
  if (found !== ETH_P_IP && found !== ETH_P_IPV6) refuse('the packet is not IP', Errno.EPROTO);
  if (found === ETH_P_IPV6 && packet.length < ETHERNET_HEADER + IPV6_HEADER)
    refuse('the IPv6 header is cut short');
  return found === expected ? found : refuse('the packet is of the other IP than the hook');
}

/** Byte offset of a member of the kernel's struct sk_buff, anonymous members looked into. */
function memberOffset(btf: Btf, id: number, name: string): number | undefined {
  const type = btf.type(id);
  if (type.kind !== 'STRUCT' && type.kind !== 'UNION') return undefined;
  for (const { name: member, type: of, bitOffset } of type.members) {
    if (member === name) return bitOffset / 8;
    const inside = member === '' ? memberOffset(btf, of, name) : undefined;
    if (inside !== undefined) return bitOffset / 8 + inside;
  }
  return undefined;
}

/** Sets what programs read of struct sk_buff. */
function describeSkb(memory: KernelMemory, btf: Btf, at: number, frame: number, protocol: number): void {
  const id = btf.findByName('sk_buff', 'STRUCT');
  if (id === undefined) return;
  const { view } = memory;
  const set = (name: string, write: (place: number) => void) => {
    const offset = memberOffset(btf, id, name);
    if (offset !== undefined) write(at + offset);
  };
  const head = memory.u32(frame + layout.SkbFrame_head);
  set('len', (place) => view.setUint32(place, memory.u32(frame + layout.SkbFrame_len), true));
  set('protocol', (place) => view.setUint16(place, protocol, false));
  set('data', (place) => view.setBigUint64(place, POINTER_BASE | BigInt(head), true));
  set('head', (place) => view.setBigUint64(place, POINTER_BASE | BigInt(head - layout.SKB_HEADROOM), true));
}

async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  const { memory } = run;
  refuseArguments(attr, ['flags', 'cpu', 'batchSize']);
  const { dataIn = new Uint8Array(0) } = attr;
  const most = layout.PAGE - layout.SKB_HEADROOM - layout.XDP_TAILROOM;
  if (dataIn.length < IPV4_HEADER || dataIn.length > most) {
    refuse(`a packet has ${IPV4_HEADER} to ${most} bytes, this one has ${dataIn.length}`);
  }
  const count = repeats(attr);
  const hook = givenHook(givenContext(attr, STATE_SIZE));
  const protocol = protocolOf(dataIn, hook);
  await run.program.prepare(count);
  const btf = await kernelTypes();
  // From here on nothing waits: the frame belongs to this run alone.
  const at = placeContext(run, new Uint8Array(0));
  const buffer = run.arena.placePacket(dataIn);
  const runtime = memory.runtime as unknown as SkbRuntime;
  const seesLink = hook.hook === NF_INET_LOCAL_OUT;
  runtime.skb_frame_init(at + FRAME, buffer, dataIn.length, Number(seesLink), View.Packets);
  memory.view.setBigUint64(at, POINTER_BASE | BigInt(at + STATE), true);
  memory.view.setBigUint64(at + 8, POINTER_BASE | BigInt(at + SKB), true);
  memory.write(at + STATE, Uint8Array.of(hook.hook, hook.pf));
  describeSkb(memory, btf, at + SKB, at + FRAME, protocol);
  const duration = execute(run, at, count);
  return { retval: resultOf(run, at), duration, dataOut: new Uint8Array(0), ctxOut: new Uint8Array(0) };
}

export const netfilter = define(ProgType.Netfilter, plainFrame, testRun);
