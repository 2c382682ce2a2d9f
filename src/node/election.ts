// Of several processes that want to be the kernel of a name, one becomes it: without locks that outlive who holds them, and
// without trust in process ids.
//
// A candidate listens on a socket of its own, whose name nobody had before and nobody will have. Then it looks: at every
// other candidate's socket, then at the kernel's. If one answers it gives way. If none does it gives its socket the
// kernel's name (rename(2)), which replaces one that was left behind. Of two candidates, the one that came later looks when
// the other is there already, under the one name or the other; so both never win. A socket that does not answer is dead
// for good, and its name, if it was a candidate's, can be removed without anybody missing it.

import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { KernelPlace } from './run-directory.js';
import { type Absent, dial } from './socket-channel.js';

/** The kernel of a name: who connects, and the giving up of the name. */
export interface Elected {
  /** The kernel before had not given up its name: it crashed, or was killed. */
  readonly afterCrash: boolean;
  /** Who connects from now on, and who has connected meanwhile. */
  accept(listener: (socket: Socket) => void): void;
  /** Whether the name still leads here; it does not when somebody has removed the socket. */
  hasName(): boolean;
  /** Gives up the name, then listens no more. */
  resign(): void;
}

const WINDOWS = process.platform === 'win32';

/** Becomes the kernel, or gives back undefined when there is one. Throws errors of the file system. */
export async function stand(place: KernelPlace): Promise<Elected | undefined> {
  for (;;) {
    const before = await presence(place.socket);
    if (before === 'alive') return undefined;
    const candidate = await listen(WINDOWS ? place.socket : candidateSocket(place));
    if (!candidate) continue;
    if (WINDOWS) return elected(place, candidate, false);
    try {
      const rivals = await hasRivals(place, candidate.path);
      const now = rivals ? undefined : await presence(place.socket);
      if (now !== undefined && now !== 'alive' && takeName(candidate.path, place.socket)) {
        return elected(place, candidate, now === 'stale');
      }
    } catch (error) {
      candidate.close();
      throw error;
    }
    candidate.close();
    // Whoever else gives way does not come back at the same moment.
    await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 50));
  }
}

/** False when the candidate's name was removed: somebody looked before it listened, and took it for dead. */
function takeName(candidate: string, kernel: string): boolean {
  try {
    renameSync(candidate, kernel);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function presence(socket: string): Promise<'alive' | Absent> {
  const answer = await dial(socket);
  if (typeof answer === 'string') return answer;
  answer.destroy();
  return 'alive';
}

const prefix = (name: string): string => `${name}.`;
const SUFFIX = '.new';

const candidateSocket = ({ directory, name }: KernelPlace): string =>
  path.join(directory, `${prefix(name)}${randomBytes(6).toString('hex')}${SUFFIX}`);

/** Whether another candidate lives. The sockets of those that do not are removed. */
async function hasRivals({ directory, name }: KernelPlace, own: string): Promise<boolean> {
  for (const entry of readdirSync(directory)) {
    if (!entry.startsWith(prefix(name)) || !entry.endsWith(SUFFIX)) continue;
    const socket = path.join(directory, entry);
    if (socket === own) continue;
    const found = await presence(socket);
    // What has gone meanwhile may have become the kernel, which is looked at next.
    if (found === 'alive') return true;
    if (found === 'stale') rmSync(socket, { force: true });
  }
  return false;
}

class Candidate {
  readonly path: string;
  readonly server: Server;
  #waiting: Socket[] = [];
  #listener: ((socket: Socket) => void) | undefined;

  constructor(socket: string) {
    this.path = socket;
    this.server = createServer((connection) => {
      if (this.#listener) {
        this.#listener(connection);
        return;
      }
      // Nothing is read until the kernel is there; who only looks hangs up.
      connection.on('error', () => {});
      this.#waiting.push(connection);
    });
  }

  accept(listener: (socket: Socket) => void): void {
    this.#listener = listener;
    for (const socket of this.#waiting) if (!socket.destroyed) listener(socket);
    this.#waiting = [];
  }

  close(): void {
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting = [];
    this.server.close();
  }
}

/** Undefined when the name is taken, which is only possible for a pipe. */
function listen(socket: string): Promise<Candidate | undefined> {
  const candidate = new Candidate(socket);
  const { server } = candidate;
  // The directory keeps others out; the socket does so too, from its first moment on.
  const mask = WINDOWS ? 0 : process.umask(0o177);
  try {
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        if (WINDOWS && error.code === 'EADDRINUSE') resolve(undefined);
        else reject(error);
      });
      server.listen({ path: socket, backlog: 4096 }, () => resolve(candidate));
    });
  } finally {
    if (!WINDOWS) process.umask(mask);
  }
}

function elected(place: KernelPlace, candidate: Candidate, afterCrash: boolean): Elected {
  const own = WINDOWS ? undefined : statSync(place.socket).ino;
  const hasName = () => {
    if (WINDOWS) return true;
    try {
      return statSync(place.socket).ino === own;
    } catch {
      return false;
    }
  };
  return {
    afterCrash,
    accept: (listener) => candidate.accept(listener),
    hasName,
    resign() {
      // While this process answers nobody else takes the name: it cannot be another's.
      if (!WINDOWS && hasName()) rmSync(place.socket, { force: true });
      candidate.close();
    },
  };
}
