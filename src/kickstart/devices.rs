//! Disks and partitions by the names machines know them by.

use super::values::Wrong;

/// A disk or partition by one of the names a machine may know it by.
pub(super) fn device(text: &str) -> Option<Wrong> {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // Partitions count from 1.
    let counts =
        |number: &str| number.is_empty() || number.parse::<u8>().is_ok_and(|n| n > 0 && !number.starts_with('0'));
    let lettered = ["sd", "vd", "hd", "xvd", "dasd", "ubd"].iter().any(|start| {
        let disk = name.strip_prefix(start).unwrap_or_default();
        let letter = disk.trim_end_matches(|c: char| c.is_ascii_digit());
        letters(letter) && counts(&disk[letter.len()..])
    });
    let numbered = ["md", "loop", "sr", "ram", "nbd", "pmem", "zram", "dm-", "rbd", "i2o", "cciss!", "cciss/c"]
        .iter()
        .any(|start| {
            name.strip_prefix(start).is_some_and(|rest| {
                rest.bytes().next().is_some_and(|b| b.is_ascii_digit()) || (*start == "md" && !rest.is_empty())
            })
        });
    // A disk of these has a number of its own and one within; a partition stands behind a `p`.
    let of_numbers = |rest: &str, mark: char| {
        let (disk, partition) = rest.split_once('p').unwrap_or((rest, "1"));
        let number = |text: &str| !text.is_empty() && digits(text);
        let disk_fits = match disk.split_once(mark) {
            Some((one, other)) => number(one) && number(other),
            None => mark == 'p' && number(disk),
        };
        disk_fits && number(partition) && partition != "0"
    };
    let numbered = numbered
        || name.strip_prefix("nvme").is_some_and(|rest| of_numbers(rest, 'n'))
        || name.strip_prefix("mmcblk").is_some_and(|rest| of_numbers(rest, 'p'));
    let by_path = name.strip_prefix("disk/").is_some_and(|rest| {
        rest.strip_prefix("by-").and_then(|rest| rest.split_once('/')).is_some_and(|(_, id)| !id.is_empty())
    });
    let path = ["mapper/", "md/", "vg", "LABEL=", "UUID=", "PARTUUID=", "PARTLABEL=", "label=", "uuid="]
        .iter()
        .any(|start| name.strip_prefix(start).is_some_and(|rest| !rest.is_empty()));
    if let Some(id) = name.strip_prefix("UUID=").or_else(|| name.strip_prefix("uuid="))
        && !is_uuid(id)
    {
        return Some(("device", format!("'{id}' is no UUID of a file system")));
    }
    let pattern = text.contains(['*', '?', '|']);
    let multipath = name.strip_prefix("mpath").is_some_and(|rest| letters(rest) || digits(rest));
    (!lettered && !numbered && !path && !by_path && !pattern && !multipath)
        .then(|| ("device", format!("'{text}' is no disk or partition of any machine")))
}

/// A disk: a device that is no partition of one.
pub(super) fn disk(text: &str) -> Option<Wrong> {
    device(text).or_else(|| is_partition(text).then(|| ("device", format!("'{text}' is a partition, not a disk"))))
}

/// The disk that a partition is surely of (`sda` of `/dev/sda1`).
pub(super) fn disk_of(text: &str) -> Option<&str> {
    if !is_partition(text) {
        return None;
    }
    let disk = text.strip_prefix("/dev/").unwrap_or(text).trim_end_matches(|c: char| c.is_ascii_digit());
    match disk.starts_with("nvme") || disk.starts_with("mmcblk") {
        true => disk.strip_suffix('p'),
        false => Some(disk),
    }
}

/// Whether a name is surely a whole disk's.
pub(super) fn is_whole_disk(text: &str) -> bool {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    let plain = ["sd", "vd", "hd", "xvd", "nvme", "mmcblk"].iter().any(|start| name.starts_with(start));
    plain && device(text).is_none() && !is_partition(text) && !text.contains(['*', '?', '|'])
}

/// Whether a name is surely a partition's.
fn is_partition(text: &str) -> bool {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    let ends_in = |rest: &str, mark: char| {
        rest.rsplit_once(mark)
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let lettered = ["sd", "vd", "hd", "xvd"].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.ends_with(|c: char| c.is_ascii_digit())
        })
    });
    lettered || ["nvme", "mmcblk"].iter().any(|start| name.strip_prefix(start).is_some_and(|rest| ends_in(rest, 'p')))
}

/// Whether a text can name a file system: a UUID, or the shorter numbers of FAT and NTFS.
fn is_uuid(text: &str) -> bool {
    let text = text.trim_matches('"');
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    hex && matches!(groups[..], [8, 4, 4, 4, 12] | [4, 4] | [16] | [6, 4, 4, 4, 4, 4, 6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for good in [
            "sda",
            "sda1",
            "/dev/vdb2",
            "nvme0n1p3",
            "mmcblk0",
            "mapper/vg-root",
            "disk/by-id/wwn-0x5",
            "LABEL=data",
            "md0",
            "md/boot",
            "xvdf1",
            "dasda1",
            "mpatha",
        ] {
            assert_eq!(device(good), None, "{good}");
        }
        for bad in ["nvme0", "nvme0n1p0", "nvmen1", "mmcblk", "disk/nope", "disk/by-id/"] {
            assert!(device(bad).is_some(), "{bad}");
        }
        for bad in ["nosuch", "", "disk", "sd", "/dev/", "1", "C:"] {
            assert!(device(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_partition_is_of_a_disk() {
        for (partition, disk) in
            [("/dev/sda1", "sda"), ("vdb12", "vdb"), ("nvme0n1p3", "nvme0n1"), ("mmcblk0p1", "mmcblk0")]
        {
            assert_eq!(disk_of(partition), Some(disk));
        }
        for name in ["sda", "nvme0n1", "md0", "mapper/x-1", "LABEL=a1"] {
            assert_eq!(disk_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_partition_is_no_disk() {
        for name in ["sda", "vdb", "nvme0n1", "mmcblk0", "disk/by-id/ata-x-part1", "sd*", "dasda", "md0"] {
            assert_eq!(disk(name), None, "{name}");
        }
        for name in ["sda1", "/dev/vdb12", "nvme0n1p2", "mmcblk0p1", "nosuch"] {
            assert!(disk(name).is_some(), "{name}");
        }
        for name in ["sdb0", "sda01", "sda300", "UUID=123", "UUID="] {
            assert!(device(name).is_some(), "{name}");
        }
        assert_eq!(device("UUID=0F3A-11BC").or(device("UUID=123e4567-e89b-12d3-a456-426614174000")), None);
    }
}
