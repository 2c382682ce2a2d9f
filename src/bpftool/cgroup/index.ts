// `cgroup`: programs that run for the processes of a cgroup.

import { AttachFlag, type AttachType } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { takeProg, withFds } from '../objects.js';
import { wordlessRefusal } from '../refusal.js';
import type { CommandTable, Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { helpCommand, SPEC_OPTIONS, SPEC_PROGRAM, usageText } from '../usage.js';
import { attachTypeByWord } from './attach-types.js';
import { openCgroup, show, tree } from './show.js';

/** Takes `CGROUP ATTACH_TYPE PROG`, and does `work` on them and what stands behind. */
async function onProgram(
  tool: Tool,
  args: Arguments,
  command: 'attach' | 'detach',
  work: (cgroup: number, attachType: AttachType, prog: number) => Promise<void>,
): Promise<undefined> {
  if (args.left < 4) throw new ToolError(`too few parameters for cgroup ${command}`);
  const bpf = await tool.bpf;
  const cgroup = await openCgroup(tool, args.next('CGROUP'));
  await withFds(bpf, [cgroup], async () => {
    const attachType = attachTypeByWord(args.next('ATTACH_TYPE'));
    if (attachType === undefined) throw new ToolError('invalid attach type');
    const prog = await takeProg(tool, args);
    await withFds(bpf, [prog], async () => {
      try {
        await work(cgroup, attachType, prog);
      } catch (error) {
        throw await wordlessRefusal(tool, error, `failed to ${command} program`);
      }
    });
  });
  tool.done();
}

function takeFlags(args: Arguments): number {
  let flags = 0;
  while (args.left > 0) {
    if (args.take('multi')) flags |= AttachFlag.AllowMulti;
    else if (args.take('override')) flags |= AttachFlag.AllowOverride;
    else throw new ToolError(`unknown option: ${args.next()}`);
  }
  return flags;
}

export const cgroupCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    { name: 'tree', run: tree },
    {
      name: 'attach',
      run: (tool, args) =>
        onProgram(tool, args, 'attach', async (target, attachType, prog) => {
          const flags = takeFlags(args);
          await (await tool.bpf).progAttach({ prog, target, attachType, flags });
        }),
    },
    {
      name: 'detach',
      run: (tool, args) =>
        onProgram(tool, args, 'detach', async (target, attachType, prog) =>
          (await tool.bpf).progDetach({ prog, target, attachType }),
        ),
    },
    helpCommand,
  ],
  usage: usageText([
    '% cgroup { show | list } CGROUP [**effective**]',
    '% cgroup tree [CGROUP_ROOT] [**effective**]',
    '% cgroup attach CGROUP ATTACH_TYPE PROG [ATTACH_FLAGS]',
    '% cgroup detach CGROUP ATTACH_TYPE PROG',
    '% cgroup help',
    '',
    'ATTACH_TYPE := { cgroup_inet_ingress | cgroup_inet_egress |',
    '                 cgroup_inet_sock_create | cgroup_sock_ops |',
    '                 cgroup_device | cgroup_inet4_bind |',
    '                 cgroup_inet6_bind | cgroup_inet4_post_bind |',
    '                 cgroup_inet6_post_bind | cgroup_inet4_connect |',
    '                 cgroup_inet6_connect | cgroup_unix_connect |',
    '                 cgroup_inet4_getpeername | cgroup_inet6_getpeername |',
    '                 cgroup_unix_getpeername | cgroup_inet4_getsockname |',
    '                 cgroup_inet6_getsockname | cgroup_unix_getsockname |',
    '                 cgroup_udp4_sendmsg | cgroup_udp6_sendmsg |',
    '                 cgroup_unix_sendmsg | cgroup_udp4_recvmsg |',
    '                 cgroup_udp6_recvmsg | cgroup_unix_recvmsg |',
    '                 cgroup_sysctl | cgroup_getsockopt |',
    '                 cgroup_setsockopt | cgroup_inet_sock_release }',
    'ATTACH_FLAGS := { multi | override }',
    SPEC_PROGRAM,
    `${SPEC_OPTIONS} |`,
    '             {-f|--bpffs} }',
  ]),
};
