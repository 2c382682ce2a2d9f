// The program commands of the emulated kernel: loading, running, and what is known of a program.

import type {
  Fd,
  PacketBatch,
  PacketBatchResult,
  ProgDump,
  ProgInfo,
  ProgLoadAttr,
  ProgTestRunAttr,
  ProgTestRunResult,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { ProgFlag } from '../bpf/types.js';
import { programTag } from '../isa/tag.js';
import { boundDevice } from './attach/bound.js';
import type { Descriptors } from './descriptors.js';
import type { RunnableProgram } from './engine.js';
import { forEngines } from './engine-form.js';
import { JitProgram } from './jit/jit.js';
import { hexDump, LogLevel } from './kernel-log.js';
import { isGplCompatible } from './licenses.js';
import { checkLineInfo } from './line-info.js';
import { checkLoad, decodeAttr, refuseLoad } from './load-checks.js';
import { boundObjects, LoadView, withoutIndexes } from './load-view.js';
import type { KernelMachine, Task } from './machine.js';
import type { KernelMap, ProgramTraits } from './maps/index.js';
import type { KernelMapObject, KernelObject } from './objects.js';
import { dumpInstructions, KernelProgram } from './program.js';
import { runOn } from './program-run.js';
import { runBatch } from './programs/batch.js';
import { testRun } from './programs/index.js';
import type { ProgramRun } from './programs/run.js';
import { resolve } from './resolve.js';
import { demandLoad, demandRoot, isRoot } from './rights.js';
import { verifyLoad } from './verification.js';
import { VmlinuxBtf } from './vmlinux.js';

export class KernelPrograms {
  readonly #machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #task: Task;

  constructor(machine: KernelMachine, descriptors: Descriptors, task: Task) {
    this.#machine = machine;
    this.#descriptors = descriptors;
    this.#task = task;
  }

  async progLoad(given: ProgLoadAttr): Promise<Fd> {
    using view = new LoadView(this.#descriptors);
    return await this.#load({ ...given, instructions: given.instructions.slice() }, view);
  }

  async #load(attr: ProgLoadAttr, view: LoadView): Promise<Fd> {
    const machine = this.#machine;
    const { objects, installer, safety } = machine;
    demandLoad(machine, this.#task, attr.type, attr.instructions.length / 8);
    const definition = checkLoad(attr);
    const device = boundDevice(attr, machine.devices);
    const bound = boundObjects(attr, view);
    if (attr.progBtfFd !== undefined && view.find(attr.progBtfFd, 'btf') instanceof VmlinuxBtf) {
      refuseLoad("the types of programs are not the kernel's own", Errno.EACCES);
    }
    const verdict =
      safety === 'verify' ? await verifyLoad(attr, view, machine.cpus, isRoot(this.#task)) : undefined;
    const insns = withoutIndexes(decodeAttr(attr), attr.fdArray);
    const gplCompatible = isGplCompatible(attr.license);
    const tag = programTag(insns, 'sha256');
    const maps = new Map<KernelMap, KernelMapObject>();
    const runs = verdict?.facts ? forEngines(insns, definition, verdict.facts) : insns;
    const resolved = resolve(runs, machine.memory, (fd) => {
      const object = view.find(fd, 'map');
      if (object) maps.set(object.map, object);
      return object?.map;
    });
    for (const object of bound.maps) maps.set(object.map, object);
    // BTF that nothing refers to is not kept.
    const described = attr.funcInfo?.length || attr.lineInfo?.length;
    const btf = attr.progBtfFd === undefined || !described ? undefined : view.get(attr.progBtfFd, 'btf');
    const slots = attr.instructions.length / 8;
    const lineInfo = attr.lineInfo?.length ? checkLineInfo(attr.lineInfo, slots, btf?.btf) : undefined;
    const xlated = dumpInstructions(insns, (fd) => view.find(fd, 'map')?.id ?? 0);
    const installed = await installer.install(
      resolved,
      definition,
      gplCompatible,
      safety === 'check',
      machine.blinds(this.#task),
      verdict?.facts,
    );
    const { address, runnable } = installed;
    const traits: ProgramTraits = {
      type: definition.type,
      jited: runnable.codeSize > 0,
      fragments: ((attr.flags ?? 0) & ProgFlag.XdpHasFrags) !== 0,
      expectedAttachType: attr.expectedAttachType ?? 0,
      bound: device !== undefined,
    };
    for (const map of resolved.maps) {
      const refusal = map.refuseProgram(traits);
      if (refusal === undefined) continue;
      installer.uninstall(installed);
      return refuseLoad(`map ${map.id}: ${refusal}`);
    }
    const held: KernelObject[] = [...maps.values(), ...(btf ? [btf] : []), ...bound.others].map((object) =>
      objects.hold(object),
    );
    const id = objects.newId('program');
    installer.setId(address, id);
    const program = new KernelProgram({
      id,
      definition,
      contextSize: verdict?.contextSize ?? 0,
      facts: verdict?.facts,
      verifiedInsns: verdict?.processed ?? 0,
      expectedAttachType: attr.expectedAttachType ?? 0,
      name: attr.name ?? '',
      tag,
      gplCompatible,
      insns: resolved.insns,
      xlated,
      maps: [...maps.keys()],
      held,
      btf,
      funcInfo: attr.funcInfo?.slice(),
      lineInfo,
      address,
      runnable,
      loadedAt: Math.floor(Date.now() / 1000),
      traits,
      device,
      flags: attr.flags ?? 0,
      uid: this.#task.uid,
    });
    machine.programs.set(address, program);
    if (machine.settings.get('net.core.bpf_jit_enable') === 2) this.#logCode(attr, runnable);
    if (attr.log) attr.log.text = verdict?.log ?? '';
    return this.#descriptors.create('program', program, () => {
      machine.programs.delete(address);
      installer.uninstall(installed);
      for (const object of held) objects.drop(object);
    });
  }

  /** What bpf_jit_dump writes to the kernel's log. */
  #logCode(attr: ProgLoadAttr, runnable: RunnableProgram): void {
    if (!(runnable instanceof JitProgram)) return;
    const { log } = this.#machine;
    const { name, pid } = this.#task;
    const { bytes } = runnable;
    const sizes = `flen=${attr.instructions.length / 8} proglen=${bytes.length} pass=1`;
    log.print(LogLevel.Error, `${sizes} image=${'0'.repeat(16)} from=${name} pid=${pid}`);
    for (const line of hexDump('JIT code: ', bytes)) log.print(LogLevel.Error, line);
  }

  async progBindMap(prog: Fd, map: Fd): Promise<void> {
    const command = 'BPF_PROG_BIND_MAP';
    const program = this.#descriptors.get(prog, 'program', command);
    const object = this.#descriptors.get(map, 'map', command);
    if (program.bind(object.map)) program.parts.held.push(this.#machine.objects.hold(object));
  }

  async progInfo(fd: Fd): Promise<ProgInfo> {
    return this.#descriptors.get(fd, 'program', 'BPF_OBJ_GET_INFO_BY_FD').info();
  }

  async progDump(fd: Fd): Promise<ProgDump> {
    return this.#descriptors.get(fd, 'program', 'BPF_OBJ_GET_INFO_BY_FD').dump();
  }

  async progGetNextId(id: number): Promise<number> {
    const command = 'BPF_PROG_GET_NEXT_ID';
    demandRoot(this.#task, command);
    return this.#machine.objects.nextId('program', id, command);
  }

  async progGetFdById(id: number): Promise<Fd> {
    const command = 'BPF_PROG_GET_FD_BY_ID';
    demandRoot(this.#task, command);
    return this.#descriptors.open(this.#machine.objects.byId('program', id, command));
  }

  async enableStats(type: number): Promise<Fd> {
    demandRoot(this.#task, 'BPF_ENABLE_STATS');
    if (type !== 0) {
      throw new BpfError('BPF_ENABLE_STATS', Errno.EINVAL, `there are no statistics of type ${type}`);
    }
    return this.#descriptors.create('stats', { id: 0, stats: true }, this.#machine.keepStats());
  }

  /** How a program runs by a command of this process. */
  #run(program: KernelProgram): ProgramRun {
    const machine = this.#machine;
    const task = this.#task;
    const { runnable } = program.parts;
    return runOn(machine, program, {
      codeSize: runnable.codeSize,
      run: (frames, from, count, stride, budget) =>
        machine.as(task, () => runnable.run(frames, from, count, stride, budget)),
      prepare: (runs) => runnable.prepare(runs),
      dispose: () => {},
    });
  }

  async progTestRun(fd: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
    const program = this.#descriptors.get(fd, 'program', 'BPF_PROG_TEST_RUN');
    return this.#during(program, async () => {
      const result = await testRun(this.#run(program), attr);
      const runs = attr.repeat || 1;
      this.#machine.count(program, runs, result.duration * runs);
      return result;
    });
  }

  async progRunBatch(fd: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    const program = this.#descriptors.get(fd, 'program', 'BPF_PROG_TEST_RUN');
    return this.#during(program, async () => {
      const result = await runBatch(this.#run(program), batch);
      this.#machine.count(program, batch.count - result.faults.length, result.duration);
      return result;
    });
  }

  /** Runs of a program: it stays until they have ended, and then whoever waits for records is woken. */
  async #during<T>(program: KernelProgram, run: () => Promise<T>): Promise<T> {
    const { objects } = this.#machine;
    objects.hold(program);
    try {
      return await run();
    } finally {
      objects.drop(program);
      this.#machine.wake();
    }
  }
}
