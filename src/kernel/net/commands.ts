// Machine's commands over the emulated kernel's devices: made, taken out, listed, fed with packets and recorded.

import { checkBatch } from '../../bpf/batch.js';
import type { PacketBatch } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import type {
  CapturedPacket,
  CapturePoint,
  DeviceAttr,
  DeviceState,
  Machine,
  ReceiveResult,
} from '../../bpf/machine.js';
import type { KernelMachine, Task } from '../machine.js';
import type { KernelMap } from '../maps/index.js';
import { runOn } from '../program-run.js';
import { Network } from './network.js';

/** Who programs say they run on when packets come in (interrupts are taken on any task's time). */
const SOFTIRQ: Task = { name: '<idle>', pid: 0, uid: 0 };

const COMMAND = 'packet receive';

export class MachineCommands implements Machine {
  readonly #machine: KernelMachine;
  readonly #network: Network;

  constructor(machine: KernelMachine) {
    this.#machine = machine;
    const { memory, arena, cpu, devices } = machine;
    this.#network = new Network(
      {
        memory,
        arena,
        cpu,
        run: (program) => runOn(machine, program),
        ran: (program, nanoseconds) => machine.count(program, 1, nanoseconds),
        programById: (id) => (id === 0 ? undefined : machine.objects.find('program', id)),
        mapAt: (address) => this.#mapAt(address),
      },
      devices,
    );
  }

  #mapAt(address: number): KernelMap | undefined {
    for (const { map } of this.#machine.objects.all('map')) if (map.address === address) return map;
    return undefined;
  }

  async deviceAdd(attr: DeviceAttr): Promise<number> {
    return this.#machine.devices.add(attr).ifindex;
  }

  async deviceRemove(name: string): Promise<void> {
    this.#machine.devices.remove(name);
  }

  async deviceList(): Promise<DeviceState[]> {
    return this.#machine.devices.all.map(({ state }) => state);
  }

  async deviceReceive(name: string, packets: PacketBatch): Promise<ReceiveResult> {
    const machine = this.#machine;
    const device = machine.devices.named(name, COMMAND);
    if (device.kind === 'loopback') {
      throw new BpfError(COMMAND, Errno.EOPNOTSUPP, `${name} has no cable`);
    }
    const { count, data, offsets, times } = packets;
    checkBatch(packets);
    for (const program of this.#network.programsOn(device)) await program.parts.runnable.prepare(count);
    const result: ReceiveResult = { received: 0, passed: 0, refused: 0 };
    // From here on nothing waits: the frames belong to these packets.
    machine.as(SOFTIRQ, () => {
      for (let i = 0; i < count; i++) {
        const packet = data.slice(offsets[i], offsets[i + 1]);
        const time = times?.[i];
        const { received, passed } = machine.withClock(time === undefined ? undefined : () => time, () =>
          this.#network.receive(device, packet),
        );
        if (received) result.received++;
        else result.refused++;
        result.passed += passed;
      }
    });
    machine.wake();
    return result;
  }

  async deviceCapture(
    name: string,
    point: CapturePoint,
    listener: (packets: readonly CapturedPacket[]) => void,
  ): Promise<Disposable> {
    const device = this.#machine.devices.named(name, 'packet capture');
    const taps = device.taps[point];
    const tap = (packet: CapturedPacket): void => listener([packet]);
    taps.add(tap);
    return { [Symbol.dispose]: () => taps.delete(tap) };
  }
}
