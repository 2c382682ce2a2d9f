// Programs that choose the socket for a connection. Their context is struct bpf_sk_lookup; a test run gives all of it
// (Linux: bpf_prog_test_run_sk_lookup).

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import {
  execute,
  givenContext,
  placeContext,
  refuse,
  refuseArguments,
  repeats,
  resultOf,
  returnedContext,
} from './arguments.js';
import { define, plainFrame } from './definition.js';
import type { ProgramRun } from './run.js';

/** struct bpf_sk_lookup. */
const SIZE = 72;
const Field = {
  sk: 0,
  family: 8,
  protocol: 12,
  remoteIp4: 16,
  remoteIp6: 20,
  localIp4: 40,
  localIp6: 44,
  localPort: 60,
  end: 64,
} as const;
const AF_INET = 2;
const AF_INET6 = 10;

/** The context as programs see it: numbers of 16 bits, and the addresses of one family. */
function seen(given: Uint8Array): Uint8Array {
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  const family = view.getUint16(Field.family, true);
  if (family !== AF_INET && family !== AF_INET6) {
    refuse(`family ${family} is neither AF_INET nor AF_INET6`, Errno.EAFNOSUPPORT);
  }
  view.setUint32(Field.family, family, true);
  view.setUint16(Field.protocol + 2, 0, true);
  if (family === AF_INET) {
    bytes.fill(0, Field.remoteIp6, Field.remoteIp6 + 16);
    bytes.fill(0, Field.localIp6, Field.localIp6 + 16);
  } else {
    view.setUint32(Field.remoteIp4, 0, true);
    view.setUint32(Field.localIp4, 0, true);
  }
  // What follows the port is padding.
  bytes.fill(0, 38, 40);
  return bytes;
}

async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  refuseArguments(attr, ['flags', 'cpu', 'batchSize', 'dataIn', 'dataSizeOut']);
  const count = repeats(attr);
  const context = givenContext(attr, SIZE) ?? refuse('a context is needed');
  const view = new DataView(context.buffer);
  if (view.getBigUint64(Field.sk, true) !== 0n) refuse('the socket of the context must be 0');
  if (context.subarray(Field.end).some((byte) => byte !== 0)) refuse('what follows local_port must be 0');
  if (view.getUint32(Field.localPort, true) > 0xffff) refuse('local_port has 16 bits', Errno.ERANGE);
  const shown = seen(context);
  await run.program.prepare(count);
  const frame = placeContext(run, shown);
  const duration = execute(run, frame, count);
  return {
    retval: resultOf(run, frame),
    duration,
    dataOut: new Uint8Array(0),
    ctxOut: returnedContext(context, attr),
  };
}

export const skLookup = define(ProgType.SkLookup, plainFrame, testRun);
