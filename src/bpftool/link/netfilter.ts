// A link of netfilter: the same facts in `link` and in `net`.

import type { LinkInfo } from '../../bpf/bpf.js';
import type { LinkType } from '../../bpf/types.js';
import type { Json } from '../json-writer.js';

export type NetfilterLink = Extract<LinkInfo, { type: typeof LinkType.Netfilter }>;

/** Protocol families (NFPROTO_*), and the names of their hooks. */
const inetHooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
const families: Readonly<Record<number, { name: string; hooks: readonly string[] }>> = {
  1: { name: 'inet', hooks: inetHooks },
  2: { name: 'ip', hooks: inetHooks },
  3: { name: 'arp', hooks: ['input', 'output'] },
  5: { name: 'netdev', hooks: [] },
  7: { name: 'bridge', hooks: inetHooks },
  10: { name: 'ip6', hooks: inetHooks },
};

export function netfilterText({ pf, hooknum, priority, flags }: NetfilterLink): string {
  const family = families[pf];
  const hook = family?.hooks[hooknum];
  let text = family ? `\n\t${family.name}` : `\n\tpf: ${pf}`;
  text += hook === undefined ? `, hook ${hooknum},` : ` ${hook}`;
  text += ` prio ${priority}`;
  if (flags) text += ` flags 0x${flags.toString(16)}`;
  return text;
}

export const netfilterJson = ({ pf, hooknum, priority, flags }: NetfilterLink): Record<string, Json> => ({
  pf,
  hook: hooknum,
  prio: priority,
  flags,
});
