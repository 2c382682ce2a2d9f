// `net`: programs on network devices and elsewhere in the network stack.

import type { CommandTable } from '../tool.js';
import { helpCommand, SPEC_OPTIONS, SPEC_PROGRAM, usageText } from '../usage.js';
import { attach, detach } from './attach.js';
import { show } from './show.js';

/** Stands at the left edge, below the grammar. */
const NOTE = `
Note: Only xdp, tcx, tc, netkit, flow_dissector and netfilter attachments
      are currently supported.
      For progs attached to cgroups, use "bpftool cgroup"
      to dump program attachments. For program types
      sk_{filter,skb,msg,reuseport} and lwt/seg6, please
      consult iproute2.
`;

const grammar = usageText([
  '% net { show | list } [dev <devname>]',
  '% net attach ATTACH_TYPE PROG dev <devname> [ overwrite | prepend ]',
  '% net detach ATTACH_TYPE dev <devname>',
  '% net help',
  '',
  SPEC_PROGRAM,
  'ATTACH_TYPE := { xdp | xdpgeneric | xdpdrv | xdpoffload | tcx_ingress',
  '                 | tcx_egress }',
  `${SPEC_OPTIONS} }`,
]);

export const netCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    { name: 'attach', run: attach },
    { name: 'detach', run: detach },
    helpCommand,
  ],
  usage: (tool) => grammar(tool) + NOTE,
};
