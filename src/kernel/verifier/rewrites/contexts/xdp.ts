// struct xdp_md: the kernel has an xdp_buff.

import { type Conversions, read } from './words.js';

export const xdp: Conversions = {
  data: read('xdp_buff.data'),
  data_end: read('xdp_buff.data_end'),
  data_meta: read('xdp_buff.data_meta'),
  ingress_ifindex: read(['xdp_buff.rxq', 'xdp_rxq_info.dev', 'net_device.ifindex']),
  rx_queue_index: read(['xdp_buff.rxq', 'xdp_rxq_info.queue_index']),
  egress_ifindex: read(['xdp_buff.txq', 'xdp_txq_info.dev', 'net_device.ifindex']),
};
