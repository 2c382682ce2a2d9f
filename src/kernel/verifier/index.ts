// The verifier's door.

import type { Btf } from '../../btf/index.js';
import { KernelTypesNeeded } from './kernel-types.js';
import type { ProgramToVerify, Environment as SynchronousEnvironment, Verdict } from './program.js';
import { verify as verifyNow } from './verify.js';

export type { Capabilities, ProgramToVerify, Verdict, VerifierMap } from './program.js';

/** The world that a program is loaded into. */
export interface Environment extends Omit<SynchronousEnvironment, 'kernelTypes'> {
  /** The kernel's own BTF, fetched when the first program asks for it. */
  readonly kernelTypes?: () => Promise<Btf>;
}

/** Decides whether Linux would accept the program, and says it as Linux does. */
export async function verify(program: ProgramToVerify, environment: Environment): Promise<Verdict> {
  const { kernelTypes, ...world } = environment;
  let types: Btf | undefined;
  for (;;) {
    try {
      return verifyNow(program, {
        ...world,
        kernelTypes: () => {
          if (!types && kernelTypes) throw new KernelTypesNeeded();
          return types;
        },
      });
    } catch (error) {
      if (!(error instanceof KernelTypesNeeded) || !kernelTypes) throw error;
      types = await kernelTypes();
    }
  }
}
