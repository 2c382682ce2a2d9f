// Signatures: the licence, sleep, every argument and the result of each helper, as the kernel of this machine sees them.
// An argument is shown by what the kernel says when it is of the wrong kind; `R2 type=ctx expected=scalar`.

import { expect, test } from 'vitest';
import { helperNames } from '../../src/bpf/helpers.js';
import { AttachType, MapFlag, MapType, ProgFlag, ProgType } from '../../src/bpf/types.js';
import { BtfBuilder } from '../../src/btf/index.js';
import { argumentRegisters } from '../../src/kernel/verifier/tables/argument-registers.js';
import { rulesOf } from '../../src/kernel/verifier/tables/contexts/index.js';
import { helpersFor, optionalHelpers } from '../../src/kernel/verifier/tables/helper-availability.js';
import { helperSignatures, signatureFor } from '../../src/kernel/verifier/tables/helper-signatures.js';
import type { HelperArg } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { btfCases, type LoadCase, plainCases } from './cases.js';
import {
  add,
  call,
  createRaw,
  exit,
  freezeRaw,
  insn,
  ldMap,
  ldx,
  loadBtfRaw,
  loadRaw,
  mov,
  movReg,
  rewrittenSize,
  st,
} from './raw.js';

test('rows are the 211 helpers in order', () => {
  expect(helperSignatures.map(({ id, name }) => [id, name])).toEqual(
    helperNames.map((name, id) => [id, name]).slice(1),
  );
  for (const { args, name } of helperSignatures) {
    expect(args.length, name).toBeLessThanOrEqual(5);
    args.forEach((arg, i) => {
      // A size stands behind its memory, and memory before its size.
      const isSize = arg.kind === 'const-size' || arg.kind === 'const-size-or-zero';
      if (arg.kind === 'mem') expect(args[i + 1]?.kind, name).toMatch(/^const-size/);
      if (isSize) expect(args[i - 1]?.kind, name).toBe('mem');
    });
  }
});

/** A few at a time of what calls are made with. */
function materials() {
  const builder = new BtfBuilder();
  const int = builder.add({
    kind: 'INT',
    name: 'int',
    size: 4,
    encoding: 1,
    bitOffset: 0,
    bits: 32,
  } as never);
  const fd = loadBtfRaw(builder.encode());
  const btf = { fd, key: int, value: int };
  const storage = (type: number) => createRaw(type, 4, 4, 0, { flags: MapFlag.NoPrealloc, btf });
  const frozen = createRaw(MapType.Array, 4, 64, 1, { flags: MapFlag.RdonlyProg });
  freezeRaw(frozen);
  const array = createRaw(MapType.Array, 4, 8, 1);
  const perf = createRaw(MapType.PerfEventArray, 4, 4, 1);
  const queue = createRaw(MapType.Queue, 0, 8, 1);
  const sockmap = createRaw(MapType.Sockmap, 4, 4, 1);
  const sockhash = createRaw(MapType.Sockhash, 4, 4, 1);
  const ringbuf = createRaw(MapType.Ringbuf, 0, 0, 4096);
  const cgroups = createRaw(MapType.CgroupArray, 4, 4, 1);
  const task = storage(MapType.TaskStorage);
  const socket = storage(MapType.SkStorage);
  const cgroup = storage(MapType.CgrpStorage);
  const byHelper: Record<string, number> = {
    tail_call: createRaw(MapType.ProgArray, 4, 4, 1),
    perf_event_output: perf,
    perf_event_read: perf,
    perf_event_read_value: perf,
    skb_output: perf,
    xdp_output: perf,
    get_stackid: createRaw(MapType.StackTrace, 4, 8 * 16, 1),
    skb_under_cgroup: cgroups,
    current_task_under_cgroup: cgroups,
    get_local_storage: createRaw(MapType.CgroupStorage, 8, 8, 0),
    redirect_map: createRaw(MapType.Devmap, 4, 4, 1),
    sk_redirect_map: sockmap,
    sock_map_update: sockmap,
    msg_redirect_map: sockmap,
    sk_redirect_hash: sockhash,
    sock_hash_update: sockhash,
    msg_redirect_hash: sockhash,
    sk_select_reuseport: createRaw(MapType.ReuseportSockarray, 4, 8, 1),
    map_push_elem: queue,
    map_pop_elem: queue,
    map_peek_elem: queue,
    map_lookup_percpu_elem: createRaw(MapType.PercpuArray, 4, 8, 1),
    ringbuf_output: ringbuf,
    ringbuf_reserve: ringbuf,
    ringbuf_query: ringbuf,
    ringbuf_reserve_dynptr: ringbuf,
    user_ringbuf_drain: createRaw(MapType.UserRingbuf, 0, 0, 4096),
    task_storage_get: task,
    task_storage_delete: task,
    sk_storage_get: socket,
    sk_storage_delete: socket,
    cgrp_storage_get: cgroup,
    cgrp_storage_delete: cgroup,
  };
  return { frozen, mapFor: (name: string) => byHelper[name] ?? array };
}

/** Program types in the order in which they are tried for a helper. */
const preference: readonly ProgType[] = [
  ProgType.SchedCls,
  ProgType.Xdp,
  ProgType.CgroupSkb,
  ProgType.CgroupSockAddr,
  ProgType.CgroupSockopt,
  ProgType.SockOps,
  ProgType.SkMsg,
];
const rank = ({ type }: LoadCase): number =>
  (preference.indexOf(type) + preference.length) % preference.length;

/** Arguments that this test can make; r6 is the context, r7 a BTF task, r8 a socket, fp-64 to fp-1 are zero. */
function value(
  arg: HelperArg,
  register: number,
  map: number,
  has: { socket: boolean; task: boolean },
): Uint8Array[] | undefined {
  switch (arg.kind) {
    case 'anything':
      return [mov(register, 0)];
    case 'ctx':
      return [movReg(register, 6)];
    case 'const-map-ptr':
      return [ldMap(register, map)];
    case 'map-key':
    case 'map-value':
    case 'mem':
    case 'fixed-mem':
    case 'stack':
      return [movReg(register, 10), add(register, -64)];
    case 'const-size':
    case 'const-size-or-zero':
    case 'const-alloc-size-or-zero':
      return [mov(register, 8)];
    case 'sock-common':
    case 'btf-id-sock-common':
      return has.socket ? [movReg(register, 8)] : undefined;
    case 'btf-id':
      return has.task && arg.btf === 'task_struct' ? [movReg(register, 7)] : undefined;
    case 'dynptr':
      return arg.uninit ? [movReg(register, 10), add(register, -80)] : undefined;
    default:
      return undefined;
  }
}

/** Zero bytes on the stack, the context, a socket and a task where the program has them. */
function prelude(one: LoadCase, wantsTask: boolean): { code: Uint8Array[]; socket: boolean; task: boolean } {
  const code = [movReg(6, 1)];
  for (let at = -64; at < 0; at += 8) code.push(st(8, 10, at, 0));
  const rules = rulesOf(one.type);
  const field =
    rules?.context.kind === 'fields'
      ? rules.context.fields.find(({ yields }) => yields?.kind === 'socket' || yields?.kind === 'sock-common')
      : undefined;
  if (field) {
    // r8 = sk; without one, the end (two instructions later).
    code.push(ldx(8, 8, 6, field.offset), insn(0x55, 8, 0, 2, 0), mov(0, 1), exit);
  }
  const task = wantsTask && helpersFor(one.type, one).has('get_current_task_btf');
  if (task) code.push(call(158), movReg(7, 0));
  return { code, socket: field !== undefined, task };
}

/** An instruction that puts something into a register that the argument does not take. */
const wrong = (arg: HelperArg, register: number): { code: Uint8Array[]; type: string } =>
  ['ctx', 'const-size', 'const-size-or-zero', 'const-alloc-size-or-zero'].includes(arg.kind)
    ? { code: [movReg(register, 10)], type: 'fp' }
    : arg.kind === 'anything'
      ? { code: [], type: '' }
      : { code: [movReg(register, 6)], type: 'ctx' };

const returned: Record<string, RegExp> = {
  integer: /R0=scalar|R0=\d|R0=0x/,
  'map-value': /R0=map_value/,
  socket: /R0=sock_or_null/,
  'tcp-sock': /R0=tcp_sock_or_null/,
  'sock-common': /R0=sock_common_or_null/,
  'ringbuf-mem': /R0=ringbuf_mem_or_null/,
  'btf-id': /R0=(trusted_)?ptr_/,
};

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  const cases = [...plainCases, ...btfCases()];

  test.each(cases)('licence and sleep of all helpers in $label', (one) => {
    for (const name of helpersFor(one.type, one)) {
      if (optionalHelpers[name]) continue;
      const id = helperNames.indexOf(name);
      const row = signatureFor(id, one.type, one.attach);
      // A program of this kind must be GPL itself.
      const closed = loadRaw({ ...one, license: 'Proprietary', insns: [call(id), mov(0, 0), exit] });
      if (!/programs? must have a GPL|must have a GPL compatible license/.test(closed.log)) {
        const refused = closed.log.includes('cannot call GPL-restricted function');
        expect(refused, `${name}: ${closed.log}`).toBe(row?.gplOnly === true);
      }
      if ((one.flags ?? 0) & ProgFlag.Sleepable) continue;
      const { log } = loadRaw({ ...one, insns: [call(id), mov(0, 0), exit] });
      const sleeps = /might sleep/.test(log);
      if (!log.includes('not allowed in probe'))
        expect(sleeps, `${name}: ${log}`).toBe(row?.mightSleep === true);
    }
  });

  const { frozen, mapFor } = materials();
  const counted = { arguments: 0, calls: 0, memory: 0, helpers: 0 };

  test.each(helperSignatures)('arguments and result of $name', ({ id, name }) => {
    // One case of each signature that this machine can load.
    const seen = new Set<unknown>();
    const sleepy = cases.filter(({ flags = 0 }) => flags & ProgFlag.Sleepable);
    for (const one of [...cases].sort((a, b) => rank(a) - rank(b))) {
      if (!helpersFor(one.type, one).has(name) || optionalHelpers[name]) continue;
      const row = signatureFor(id, one.type, one.attach);
      if (!row || seen.has(row.args)) continue;
      const flags = row.mightSleep === true ? ProgFlag.Sleepable : (one.flags ?? 0);
      if (row.mightSleep === true && !sleepy.some((other) => other.type === one.type)) continue;
      const options = { ...one, flags };
      const start = prelude(
        one,
        row.args.some(({ btf }) => btf === 'task_struct'),
      );
      if (loadRaw({ ...options, insns: [call(id), mov(0, 1), exit] }).log.includes('not allowed in probe'))
        continue;
      seen.add(row.args);
      const map = mapFor(name);
      const good: Uint8Array[] = [];
      let complete = true;
      for (const [i, arg] of row.args.entries()) {
        const register = i + 1;
        const bad = wrong(arg, register);
        const clear = register === 1 ? [call(7)] : [];
        // r1 is not readable after a call.
        const { log } = loadRaw({
          ...options,
          insns: [...start.code, ...clear, ...good, ...bad.code, call(id), mov(0, 1), exit],
        });
        if (arg.kind === 'anything') {
          expect(log, `${name} in ${one.label}`).toContain(`R${register} !read_ok`);
        } else {
          expect(log, `${name} in ${one.label}`).toContain(
            `R${register} type=${bad.type} expected=${argumentRegisters[arg.kind].join(', ')}`,
          );
        }
        counted.arguments++;
        const code = value(arg, register, map, start);
        if (!code) {
          complete = false;
          break;
        }
        good.push(...code);
      }
      if (complete && !(name === 'get_func_ip' && one.type !== ProgType.Kprobe)) {
        const { log, errno } = loadRaw({
          ...options,
          logLevel: 2,
          insns: [...start.code, ...good, call(id), mov(1, 0), mov(0, 1), exit],
        });
        if (row.acquires === true) expect(log).toContain('Unreleased reference');
        else if (
          !/reference|dynptr|only read from bpf_array|must be a known constant|valid access|invalid/.test(log)
        ) {
          expect(errno, `${name} in ${one.label}: ${log}`).toBe(0);
        }
        const after = new RegExp(`call bpf_${name}#${id} .*?; (.*)`).exec(log)?.[1];
        const expected = returned[row.returns.kind];
        if (after && expected && errno === 0) {
          expect(after, `${name} in ${one.label}`).toMatch(expected);
          if (row.returns.nullable) expect(after).toContain('_or_null');
          counted.calls++;
        }
      }
      // Read-only memory will do where the helper only reads.
      for (const [i, arg] of row.args.entries()) {
        if (arg.kind !== 'mem' && arg.kind !== 'fixed-mem' && arg.kind !== 'map-value') continue;
        if (!complete) break;
        const args = row.args.flatMap((other, at) =>
          at === i ? [ldMap(i + 1, frozen, true)] : (value(other, at + 1, map, start) ?? []),
        );
        const { log } = loadRaw({ ...options, insns: [...start.code, ...args, call(id), mov(0, 1), exit] });
        const refused = log.includes('write into map forbidden');
        expect(refused, `${name} argument ${i + 1} in ${one.label}: ${log}`).toBe(arg.write === true);
        counted.memory++;
      }
    }
    if (seen.size) counted.helpers++;
  });

  test('packet memory is taken where the row says so', () => {
    const one = { type: ProgType.SchedCls, attach: AttachType.CgroupInetIngress, label: '' } as LoadCase;
    let looked = 0;
    for (const name of helpersFor(one.type)) {
      const id = helperNames.indexOf(name);
      const row = signatureFor(id, one.type, one.attach);
      const start = prelude(one, true);
      if (!row || row.mightSleep === true) continue;
      row.args.forEach((arg, i) => {
        if (!['mem', 'map-key', 'map-value', 'fixed-mem'].includes(arg.kind)) return;
        const args = row.args.map((other, at) =>
          at === i ? [movReg(i + 1, 9)] : value(other, at + 1, mapFor(name), start),
        );
        if (args.some((code) => code === undefined)) return;
        const body = [...args.flatMap((code) => code ?? []), call(id)];
        const slots = body.reduce((sum, { length }) => sum + length / 8, 0);
        // r9 = data; if r9 + 64 > data_end goto end
        const bounds = [
          ldx(4, 9, 6, 76),
          ldx(4, 3, 6, 80),
          movReg(4, 9),
          add(4, 64),
          insn(0x2d, 4, 3, slots),
        ];
        const { log } = loadRaw({ ...one, insns: [...start.code, ...bounds, ...body, mov(0, 1), exit] });
        const refused = log.includes('helper access to the packet is not allowed');
        expect(refused, `${name} argument ${i + 1}: ${log}`).toBe(row.packetAccess !== true);
        looked++;
      });
    }
    expect(looked).toBeGreaterThan(20);
  });

  test.each(cases)('calls that keep registers in $label', (one) => {
    const range = rulesOf(one.type)?.returns.find(
      ({ attach }) => !attach || attach.includes(one.attach),
    )?.range;
    const end = [mov(0, Array.isArray(range) ? range[0] : 0), exit];
    for (const name of ['get_smp_processor_id', 'get_prandom_u32', 'get_numa_node_id', 'jiffies64']) {
      const id = helperNames.indexOf(name);
      if (!helpersFor(one.type, one).has(name)) continue;
      const plain = rewrittenSize({ ...one, insns: [call(id), ...end] });
      // r1 is kept on the stack around the call: not needed where the call keeps it.
      const kept = rewrittenSize({
        ...one,
        insns: [insn(0x7b, 10, 1, -8), call(id), ldx(8, 1, 10, -8), ...end],
      });
      if (plain === undefined || kept === undefined) throw new Error(`${name}: not loaded`);
      expect(kept === plain, name).toBe(signatureFor(id, one.type, one.attach)?.fastcall === true);
    }
  });

  test.each([
    ProgType.SchedCls,
    ProgType.Xdp,
    ProgType.LwtIn,
    ProgType.LwtXmit,
    ProgType.LwtSeg6local,
    ProgType.SkSkb,
    ProgType.SkMsg,
    ProgType.SockOps,
  ])('which helpers move the packet of program type %i', (type) => {
    const one = cases.find((other) => other.type === type);
    const rules = rulesOf(type);
    const fields = rules?.context.kind === 'fields' ? rules.context.fields : [];
    const data = fields.find(({ yields }) => yields?.kind === 'packet');
    const last = fields.find(({ yields }) => yields?.kind === 'packet-end');
    if (!one || !data || !last) throw new Error('no packet');
    let moved = 0;
    for (const name of helpersFor(type, one)) {
      const id = helperNames.indexOf(name);
      const row = signatureFor(id, type, one.attach);
      const start = prelude(one, true);
      const args = row?.args.map((arg, at) => value(arg, at + 1, mapFor(name), start));
      if (!row || !args || args.some((code) => code === undefined) || row.acquires === true) continue;
      const body = [...args.flatMap((code) => code ?? []), call(id), ldx(1, 0, 9, 0)];
      const slots = body.reduce((sum, { length }) => sum + length / 8, 0);
      const bounds = [
        ldx(data.size, 9, 6, data.offset),
        ldx(last.size, 3, 6, last.offset),
        movReg(4, 9),
        add(4, 64),
        insn(0x2d, 4, 3, slots),
      ];
      const { log, errno } = loadRaw({ ...one, insns: [...start.code, ...bounds, ...body, mov(0, 1), exit] });
      const gone = log.includes("R9 invalid mem access 'scalar'");
      if (!gone && errno) continue;
      expect(gone, `${name}: ${log}`).toBe(row.changesPacket === true);
      if (gone) moved++;
    }
    expect(moved).toBeGreaterThan(0);
  });

  test('most helpers were looked at', () => {
    expect(counted.helpers).toBeGreaterThan(190);
    expect(counted.arguments).toBeGreaterThan(450);
    expect(counted.calls).toBeGreaterThan(100);
    expect(counted.memory).toBeGreaterThan(70);
  });
});
