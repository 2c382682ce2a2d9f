// `bpftool map`.

import { MapFlag } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { pinAny, takeMap } from '../objects.js';
import type { CommandDefinition, CommandTable, Tool } from '../tool.js';
import { helpCommand, SPEC_MAP, SPEC_OPTIONS, SPEC_PROGRAM, usageText } from '../usage.js';
import { deleteElement, freezeMap, lookupElement, nextKey, popElement, updateElement } from './access.js';
import { createMap } from './create.js';
import { dumpMaps } from './dump.js';
import { eventPipe } from './event-pipe.js';
import { showMaps } from './show.js';

/** `run` gives back the exit status, or nothing when there is nothing to say of it. */
const command = (
  name: string,
  run: (tool: Tool, args: Arguments) => Promise<number | undefined> | Promise<void>,
): CommandDefinition => ({ name, run: async (tool, args) => (await run(tool, args)) || undefined });

const readOnly = (tool: Tool, args: Arguments) => takeMap(tool, args, MapFlag.Rdonly);

export const mapCommands: CommandTable = {
  commands: [
    command('show', showMaps),
    command('list', showMaps),
    helpCommand,
    command('dump', dumpMaps),
    command('update', updateElement),
    command('lookup', lookupElement),
    command('getnext', nextKey),
    command('delete', deleteElement),
    command('pin', (tool, args) => pinAny(tool, args, readOnly)),
    command('event_pipe', eventPipe),
    command('create', createMap),
    command('peek', lookupElement),
    command('push', updateElement),
    command('enqueue', updateElement),
    command('pop', popElement),
    command('dequeue', popElement),
    command('freeze', freezeMap),
  ],
  usage: usageText([
    '% map { show | list }   [MAP]',
    '% map create     FILE type TYPE key KEY_SIZE value VALUE_SIZE \\',
    '                           entries MAX_ENTRIES name NAME [flags FLAGS] \\',
    '                           [inner_map MAP] [offload_dev NAME]',
    '% map dump       MAP',
    '% map update     MAP [key DATA] [value VALUE] [UPDATE_FLAGS]',
    '% map lookup     MAP [key DATA]',
    '% map getnext    MAP [key DATA]',
    '% map delete     MAP  key DATA',
    '% map pin        MAP  FILE',
    '% map event_pipe MAP [cpu N index M]',
    '% map peek       MAP',
    '% map push       MAP value VALUE',
    '% map pop        MAP',
    '% map enqueue    MAP value VALUE',
    '% map dequeue    MAP',
    '% map freeze     MAP',
    '% map help',
    '',
    SPEC_MAP,
    'DATA := { [hex] BYTES }',
    SPEC_PROGRAM,
    'VALUE := { DATA | MAP | PROG }',
    'UPDATE_FLAGS := { any | exist | noexist }',
    'TYPE := { hash | array | prog_array | perf_event_array | percpu_hash |',
    '          percpu_array | stack_trace | cgroup_array | lru_hash |',
    '          lru_percpu_hash | lpm_trie | array_of_maps | hash_of_maps |',
    '          devmap | devmap_hash | sockmap | cpumap | xskmap | sockhash |',
    '          cgroup_storage | reuseport_sockarray | percpu_cgroup_storage |',
    '          queue | stack | sk_storage | struct_ops | ringbuf | inode_storage |',
    '          task_storage | bloom_filter | user_ringbuf | cgrp_storage | arena |',
    '          insn_array | rhash }',
    `${SPEC_OPTIONS} |`,
    '             {-f|--bpffs} | {-n|--nomount} }',
  ]),
};
