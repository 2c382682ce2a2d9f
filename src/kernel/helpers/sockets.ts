// Helpers about sockets, and values that belong to them. Bodies: runtime/helpers/sockets.ts and storage.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const socketHelpers: readonly HelperBody[] = inRuntime(
  'sk_lookup_tcp',
  'sk_lookup_udp',
  'skc_lookup_tcp',
  'sk_release',
  'sk_fullsock',
  'tcp_sock',
  'get_listener_sock',
  'skc_to_tcp_sock',
  'skc_to_tcp6_sock',
  'skc_to_tcp_timewait_sock',
  'skc_to_tcp_request_sock',
  'skc_to_udp6_sock',
  'skc_to_unix_sock',
  'skc_to_mptcp_sock',
  'get_socket_cookie',
  'get_socket_uid',
  'sk_storage_get',
  'sk_storage_delete',
  'get_local_storage',
);
