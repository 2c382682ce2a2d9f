// Signatures of all helpers of Linux 6.18 (struct bpf_func_proto): what the verifier asks of a call's arguments
// and what it knows of the result. Which program may call which helper is in helper-availability.ts.

import type { AttachType, ProgType } from '../../../bpf/types.js';
import { bufferSignatures } from './helpers/buffers.js';
import { generalSignatures } from './helpers/general.js';
import { mapSignatures } from './helpers/maps.js';
import { packetSignatures } from './helpers/packets.js';
import { socketSignatures } from './helpers/sockets.js';
import { tracingSignatures } from './helpers/tracing.js';
import type { HelperSignature, HelperVariant } from './types.js';

/** All helpers by ascending number: `helperSignatures[0]` is number 1. */
export const helperSignatures: readonly HelperSignature[] = [
  ...mapSignatures,
  ...bufferSignatures,
  ...generalSignatures,
  ...tracingSignatures,
  ...packetSignatures,
  ...socketSignatures,
].sort((a, b) => a.id - b.id);

/** The row of helper `id`; undefined when Linux 6.18 has no such helper. */
export const helperSignature = (id: number): HelperSignature | undefined => helperSignatures[id - 1];

/** The signature of helper `id` as programs of a type see it: the row, with what a variant says instead. */
export function signatureFor(
  id: number,
  type: ProgType,
  attach: AttachType,
): HelperSignature | (Omit<HelperSignature, keyof HelperVariant> & HelperVariant) | undefined {
  const row = helperSignature(id);
  const variant = row?.variants?.find(({ programs }) =>
    programs.some((one) => one.type === type && (!one.attach || one.attach.includes(attach))),
  );
  if (!row || !variant) return row;
  const { gplOnly, packetAccess, mightSleep, fastcall, allowedHooks, ...common } = row;
  return { ...common, ...variant };
}
