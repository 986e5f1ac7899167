//! TFRecord files: each record is its length (u64), the masked CRC-32C of that, its data, and the masked CRC-32C of these;
//! all little-endian.

use std::io::Read;

/// What a record takes beyond its data.
pub const FRAME_BYTES: usize = 16;

/// Read one record; None at the end of the file. The error says what is wrong, for a sentence that names the file.
pub fn read(file: &mut impl Read) -> Result<Option<Vec<u8>>, String> {
    const TRUNCATED: &str = "truncated record";
    let mut head = Vec::new();
    file.take(12).read_to_end(&mut head).map_err(|error| error.to_string())?;
    if head.is_empty() {
        return Ok(None);
    }
    let (length, crc) = head.split_at_checked(8).ok_or(TRUNCATED)?;
    if masked(crc32c::crc32c(length)) != crc {
        return Err("corrupted record length".to_owned());
    }
    let length = u64::from_le_bytes(length.try_into().map_err(|_| TRUNCATED)?);
    let mut data = Vec::new();
    // Read through `take`, so that a length that lies costs no memory.
    file.take(length.saturating_add(4)).read_to_end(&mut data).map_err(|error| error.to_string())?;
    if data.len() as u64 != length.saturating_add(4) {
        return Err(TRUNCATED.to_owned());
    }
    let crc = data.split_off(data.len() - 4);
    if masked(crc32c::crc32c(&data)) == *crc { Ok(Some(data)) } else { Err("corrupted record".to_owned()) }
}

/// Append one record whose data are these parts in a row.
pub fn write(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + FRAME_BYTES);
    let length = (length as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(crc32c::crc32c(&length)));
    parts.iter().for_each(|part| out.extend_from_slice(part));
    let crc = parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
    out.extend_from_slice(&masked(crc));
}

/// A sum that stands among the data it was made of would not be worth much; the mask makes it another number.
fn masked(crc: u32) -> [u8; 4] {
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_are_read_one_by_one() {
        let mut file = Vec::new();
        write(&mut file, &[b"o", b"", b"ne"]);
        write(&mut file, &[]);
        let mut rest = &file[..];
        assert_eq!(read(&mut rest), Ok(Some(b"one".to_vec())));
        assert_eq!(read(&mut rest), Ok(Some(Vec::new())));
        assert_eq!(read(&mut rest), Ok(None));
    }

    #[test]
    fn any_flipped_or_missing_byte_is_found() {
        let mut sound = Vec::new();
        write(&mut sound, &[b"some data"]);
        for index in 0..sound.len() {
            let mut broken = sound.clone();
            broken[index] ^= 0x10;
            assert!(read(&mut &broken[..]).is_err());
            if index > 0 {
                assert!(read(&mut &sound[..index]).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn parts_come_back_as_one_record(parts: Vec<Vec<u8>>) {
            let mut file = Vec::new();
            let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            write(&mut file, &slices);
            prop_assert_eq!(file.len(), parts.concat().len() + FRAME_BYTES);
            prop_assert_eq!(read(&mut &file[..]), Ok(Some(parts.concat())));
        }
    }
}
