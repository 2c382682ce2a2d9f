// What a kernel that stays is made with.

export interface KernelOptions {
  cpus: number;
  engine: 'jit' | 'interpreter';
  /** `check`: also what the verifier refuses is loaded, and its runs are watched. */
  safety: 'verify' | 'check';
}

export const usualOptions: KernelOptions = { cpus: 1, engine: 'jit', safety: 'verify' };

/** What a process that was started to be a kernel says, on its standard output, in one line. */
export type StartReport =
  | { outcome: 'started'; pid: number; afterCrash: boolean }
  /** There is one already. */
  | { outcome: 'present' }
  | { outcome: 'failed'; message: string; hint: string; where: string };
