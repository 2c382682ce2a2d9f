// What a program load must say before anything is made of it (Linux: bpf_prog_load and check_helper_call).

import { SkepError } from '../base/error.js';
import type { ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { type AttachType, progTypeName } from '../bpf/types.js';
import { decode } from '../isa/decode.js';
import type { Instruction } from '../isa/instruction.js';
import { helperById, missingHelper } from './helpers/index.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { programTypeDefinition } from './programs/index.js';
import { mayCall } from './verifier/tables/helper-availability.js';

export const LOAD = 'BPF_PROG_LOAD';
/** BPF_COMPLEXITY_LIMIT_INSNS: instructions that a privileged user may load. */
const MAX_INSNS = 1_000_000;
/** Letters, digits, `_` and `.`, at most 15 (bpf_obj_name_cpy). */
const VALID_NAME = /^[A-Za-z0-9_.]{0,15}$/;

/** Refuses a load before its verifier would begin to write a log. */
export const refuseLoad = (message: string, errno: Errno = Errno.EINVAL): never => {
  throw new BpfError(LOAD, errno, message);
};

/** The definition of the program's type when what the load says fits it; otherwise Linux's error. */
export function checkLoad(attr: ProgLoadAttr): ProgramTypeDefinition {
  const definition = programTypeDefinition(attr.type);
  if (!definition) {
    return refuseLoad(`there is no program type ${attr.type}`);
  }
  const expected = attr.expectedAttachType ?? 0;
  if (expected !== 0 && definition.attachTypes?.includes(expected as AttachType) === false) {
    refuseLoad(`expected attach type ${expected} does not fit program type ${progTypeName(attr.type)}`);
  }
  if (!VALID_NAME.test(attr.name ?? '')) {
    refuseLoad(`program name ${JSON.stringify(attr.name)}: letters, digits, _ and ., at most 15 characters`);
  }
  const slots = attr.instructions.length / 8;
  if (slots === 0 || slots > MAX_INSNS) {
    refuseLoad(`a program has 1 to ${MAX_INSNS} instructions, this one has ${slots}`, Errno.E2BIG);
  }
  return definition;
}

/** The instructions of a load. */
export function decodeAttr(attr: ProgLoadAttr): Instruction[] {
  try {
    return decode(attr.instructions);
  } catch (error) {
    if (error instanceof SkepError) {
      throw new BpfError(LOAD, Errno.EINVAL, error.message, `${error.message}\n`);
    }
    throw error;
  }
}

/** Why a program of this type may not call helper `id` (Linux: check_helper_call). */
export function refuseHelper(
  id: number,
  definition: ProgramTypeDefinition,
  gplCompatible: boolean,
  checked: boolean,
): string | undefined {
  const helper = helperById(id);
  if (!helper) return missingHelper(id);
  // What the verifier has accepted may call it; some may because of what they attach to.
  if (checked && !mayCall(definition.type, id)) {
    return `program of this type cannot use helper bpf_${helper.name}#${id}`;
  }
  if (helper.gplOnly && !gplCompatible) {
    return `cannot call GPL-restricted function bpf_${helper.name}#${id} from non-GPL compatible program`;
  }
  if (checked && helper.args.includes('verified')) {
    return `bpf_${helper.name}#${id} takes what only the verifier can vouch for, and this program was not verified`;
  }
  return undefined;
}
