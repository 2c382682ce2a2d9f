// Flow dissectors: they say where the headers of a packet are and between whom it goes. Their context is struct __sk_buff,
// of which they see the packet and struct bpf_flow_keys (Linux: bpf_prog_test_run_flow_dissector).

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { ProgType } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import {
  checkRoom,
  execute,
  givenContext,
  refuse,
  refuseArguments,
  repeats,
  resultOf,
  returnedContext,
} from './arguments.js';
import { define } from './definition.js';
import type { ProgramRun } from './run.js';
import { skbFrame } from './skb.js';
import { type SkbRuntime, View } from './skb-run.js';

const ETHERNET_HEADER = 14;
/** struct bpf_flow_keys. */
const KEYS = 56;
const Keys = { nhoff: 0, thoff: 2, proto: 10, flags: 48 } as const;
const MOST = layout.PAGE;

async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  const { memory } = run;
  refuseArguments(attr, ['flags', 'cpu', 'batchSize']);
  const { dataIn = new Uint8Array(0) } = attr;
  const { length } = dataIn;
  if (length < ETHERNET_HEADER || length > MOST) {
    refuse(`a packet has ${ETHERNET_HEADER} to ${MOST} bytes, this one has ${length}`);
  }
  const count = repeats(attr);
  const context = givenContext(attr, KEYS);
  const wrong =
    context?.findIndex((byte, at) => byte !== 0 && (at < Keys.flags || at >= Keys.flags + 4)) ?? -1;
  if (wrong >= 0) refuse(`byte ${wrong} of the context cannot be set: only the flags can`);
  const flags = context ? new DataView(context.buffer).getUint32(Keys.flags, true) : 0;
  await run.program.prepare(count);
  const { frame, buffer } = run.arena.placeSkb(dataIn);
  const runtime = memory.runtime as unknown as SkbRuntime;
  runtime.skb_frame_init(frame, buffer, length, 1, View.Dissector);
  const keys = frame + layout.SkbFrame_keys;
  let duration = 0;
  for (let i = 0; i < count; i++) {
    memory.u8.fill(0, keys, keys + KEYS);
    const { view } = memory;
    view.setUint16(keys + Keys.nhoff, ETHERNET_HEADER, true);
    view.setUint16(keys + Keys.thoff, ETHERNET_HEADER, true);
    memory.u8.set(dataIn.subarray(12, 14), keys + Keys.proto);
    view.setUint32(keys + Keys.flags, flags, true);
    duration += execute(run, frame, 1);
  }
  const { view } = memory;
  const clamp = (at: number, least: number): number => {
    const value = Math.min(Math.max(view.getUint16(keys + at, true), least), length);
    view.setUint16(keys + at, value, true);
    return value;
  };
  clamp(Keys.thoff, clamp(Keys.nhoff, ETHERNET_HEADER));
  checkRoom(KEYS, attr);
  return {
    retval: resultOf(run, frame),
    duration: Math.floor(duration / count),
    dataOut: memory.read(keys, KEYS),
    ctxOut: returnedContext(context, attr),
  };
}

export const flowDissector = define(ProgType.FlowDissector, skbFrame, testRun);
