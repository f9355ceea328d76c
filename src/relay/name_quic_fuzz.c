/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_quic_fuzz.c - any bytes as a client's datagrams (libFuzzer).
 *
 * Each has its length in front, in two bytes.  Few inputs get behind the
 * cryptography: name_quic_frames_fuzz.c does.
 */
#include "relay/name_quic_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_quic *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	while (size >= 2 && f->result == NAME_MORE) {
		size_t len = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		fuzz_hand_in(f, data, len);
		data += len;
		size -= len;
	}
	free(f);
	return 0;
}
