// A network of the test's own. A network namespace belongs to a thread, and everything here happens on this one: so the
// thread steps into a new namespace, whose devices nobody else sees, and back. What is in it goes with it.

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const AF_PACKET = 17;
const ENOBUFS = 105;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;

const libc = koffi.load(null);
const unshare = libc.func('int unshare(int flags)');
const setns = libc.func('int setns(int fd, int type)');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func(
  'long sendto(int fd, void *bytes, size_t size, int flags, void *to, unsigned int length)',
);

function checked(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

/** Runs a command in this thread's namespace. */
export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A new network namespace; this thread is in it until it is disposed of. */
export class Network implements Disposable {
  readonly #home = openSync('/proc/thread-self/ns/net', 'r');

  constructor() {
    checked('unshare', unshare(CLONE_NEWNET));
    try {
      // Nothing travels but what the test sends.
      writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
    } catch {
      // A kernel without IPv6 sends nothing of it.
    }
  }

  [Symbol.dispose](): void {
    checked('setns', setns(this.#home, CLONE_NEWNET));
    closeSync(this.#home);
  }

  /** Two devices, each the other's end, up. Their numbers. */
  pair(left: string, right: string): [left: number, right: number] {
    run('ip', 'link', 'add', left, 'mtu', '3000', 'type', 'veth', 'peer', 'name', right, 'mtu', '3000');
    const numbers = [left, right].map((name) => {
      run('ip', 'link', 'set', name, 'up');
      const [device] = JSON.parse(run('ip', '-j', 'link', 'show', name)) as { ifindex: number }[];
      if (!device) throw new Error(`there is no ${name}`);
      return device.ifindex;
    });
    return numbers as [number, number];
  }

  /** Sends frames out of a device, as they are. What a program there drops is none the worse. */
  send(ifindex: number, frames: readonly Uint8Array[]): void {
    const fd = checked('socket', socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0));
    // struct sockaddr_ll
    const to = new Uint8Array(20);
    new DataView(to.buffer).setUint16(0, AF_PACKET, true);
    new DataView(to.buffer).setInt32(4, ifindex, true);
    try {
      for (const frame of frames) {
        const result = sendto(fd, frame, frame.length, 0, to, to.length);
        if (result < 0 && koffi.errno() !== ENOBUFS) checked('sendto', result);
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** Waits until `holds` says so, at most five seconds: the kernel may deliver a little later. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 5000; !(await holds()); ) {
    if (performance.now() > end) throw new Error('it did not come to hold within five seconds');
    await new Promise((done) => setTimeout(done, 5));
  }
}
