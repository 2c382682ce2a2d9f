// A program that the kernel would not load.

import { SkepError } from '../base/error.js';
import type { BpfError } from '../bpf/errno.js';
import type { ProgramSpec } from '../elf/spec.js';

/** The kernel refused a program; its BpfError, with the verifier's log, is the `cause`. */
export class RefusedProgram extends SkepError {
  /** The program as the object has it: its source lines say what the log is about. */
  readonly program: ProgramSpec;

  constructor(program: ProgramSpec, cause: BpfError) {
    super(`the kernel refused it: ${cause.message}`, { where: `program '${program.name}'`, cause });
    this.program = program;
  }
}
