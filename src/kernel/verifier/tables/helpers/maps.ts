// Helpers that work on maps: elements, local storage, timers, locks and kptrs in values, tail calls.

import { ProgType } from '../../../../bpf/types.js';
import type { HelperSignature } from '../types.js';
import {
  anything,
  btfOrNull,
  btfSock,
  ctx,
  func,
  integer,
  kptrDest,
  kptrRelease,
  kptrResult,
  map,
  mapKey,
  mapValue,
  mapValueOrNull,
  mapValueOrNullResult,
  mapValueOut,
  mapValueResult,
  nothing,
  row,
  spinLock,
  stackOrNull,
  timer,
} from './terms.js';

export const mapSignatures: readonly HelperSignature[] = [
  row(1, 'map_lookup_elem', '3.19', [map, mapKey], mapValueOrNullResult, {
    packetAccess: true,
    acquires: 'sockmap',
  }),
  row(2, 'map_update_elem', '3.19', [map, mapKey, mapValue, anything], integer, { packetAccess: true }),
  row(3, 'map_delete_elem', '3.19', [map, mapKey], integer, { packetAccess: true }),
  row(87, 'map_push_elem', '4.20', [map, mapValue, anything], integer, { packetAccess: true }),
  row(88, 'map_pop_elem', '4.20', [map, mapValueOut], integer),
  row(89, 'map_peek_elem', '4.20', [map, mapValueOut], integer),
  row(195, 'map_lookup_percpu_elem', '5.19', [map, mapKey, anything], mapValueOrNullResult, {
    packetAccess: true,
  }),
  row(164, 'for_each_map_elem', '5.13', [map, func, stackOrNull, anything], integer, { callback: 'now' }),
  row(12, 'tail_call', '4.2', [ctx, map, anything], nothing, { changesPacket: 'callers' }),
  row(51, 'redirect_map', '4.14', [map, anything, anything], integer),
  row(37, 'current_task_under_cgroup', '4.9', [map, anything], integer),
  row(81, 'get_local_storage', '4.19', [map, anything], mapValueResult),
  row(107, 'sk_storage_get', '5.2', [map, btfSock, mapValueOrNull, anything], mapValueOrNullResult, {
    variants: [
      {
        programs: [{ type: ProgType.CgroupSock }],
        args: [map, ctx, mapValueOrNull, anything],
        returns: mapValueOrNullResult,
      },
      {
        programs: [{ type: ProgType.Tracing }, { type: ProgType.Syscall }],
        args: [map, btfOrNull('sock_common'), mapValueOrNull, anything],
        returns: mapValueOrNullResult,
        allowedHooks: 'sk-storage-tracing',
      },
    ],
  }),
  row(108, 'sk_storage_delete', '5.2', [map, btfSock], integer, {
    variants: [
      {
        programs: [{ type: ProgType.Tracing }, { type: ProgType.Syscall }],
        args: [map, btfOrNull('sock_common')],
        returns: integer,
        allowedHooks: 'sk-storage-tracing',
      },
    ],
  }),
  row(
    145,
    'inode_storage_get',
    '5.10',
    [map, btfOrNull('inode'), mapValueOrNull, anything],
    mapValueOrNullResult,
  ),
  row(146, 'inode_storage_delete', '5.10', [map, btfOrNull('inode')], integer),
  row(
    156,
    'task_storage_get',
    '5.11',
    [map, btfOrNull('task_struct'), mapValueOrNull, anything],
    mapValueOrNullResult,
  ),
  row(157, 'task_storage_delete', '5.11', [map, btfOrNull('task_struct')], integer),
  row(
    210,
    'cgrp_storage_get',
    '6.2',
    [map, btfOrNull('cgroup'), mapValueOrNull, anything],
    mapValueOrNullResult,
  ),
  row(211, 'cgrp_storage_delete', '6.2', [map, btfOrNull('cgroup')], integer),
  row(93, 'spin_lock', '5.1', [spinLock], nothing),
  row(94, 'spin_unlock', '5.1', [spinLock], nothing),
  row(169, 'timer_init', '5.15', [timer, map, anything], integer, { gplOnly: true }),
  row(170, 'timer_set_callback', '5.15', [timer, func], integer, { gplOnly: true, callback: 'later' }),
  row(171, 'timer_start', '5.15', [timer, anything, anything], integer, { gplOnly: true }),
  row(172, 'timer_cancel', '5.15', [timer], integer, { gplOnly: true }),
  row(194, 'kptr_xchg', '5.19', [kptrDest, kptrRelease], kptrResult, { acquires: true }),
];
