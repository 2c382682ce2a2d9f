// A program type is one definition: what its context looks like, what it may do and how it is tried out.

import type { AttachType, ProgType } from '../../bpf/types.js';
import type { ContextShape } from '../jit/code.js';

export interface ProgramTypeDefinition {
  readonly type: ProgType;
  /** The context that the program sees. */
  readonly context: ContextShape;
  /** Expected attach types that a load may name; 0 is always allowed. */
  readonly attachTypes: readonly AttachType[];
  /** LD_ABS and LD_IND are allowed (Linux: may_access_skb). */
  readonly packetLoads: boolean;
}
