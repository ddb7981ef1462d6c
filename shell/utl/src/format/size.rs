//! Sizes in decimal units.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Writes `bytes` as `999 B`, `41 kB`, `2.1 GB`: one decimal below ten, none above.
pub fn size_text(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let unit = (bytes.ilog10() / 3) as usize;
    let per_unit = 10u128.pow(3 * unit as u32);
    // Tenths, rounded half up; then whole units from the rounded tenths, half to even: the reference rounds twice.
    let tenths = (u128::from(bytes) * 20 + per_unit) / (per_unit * 2);
    if tenths < 100 {
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
    }
    let whole = tenths / 10;
    let rounds_up = tenths % 10 > 5 || (tenths % 10 == 5 && whole % 2 == 1);
    format!("{} {}", whole + u128::from(rounds_up), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_the_reference_writes_them() {
        for (bytes, expected) in [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (20_480, "20 kB"),
            (20_721_664, "21 MB"),
            (999_950, "1000 kB"),
            (2_147_483_648, "2.1 GB"),
            (82_854_982, "83 MB"),
            (10_500, "10 kB"),
            (11_500, "12 kB"),
        ] {
            assert_eq!(size_text(bytes), expected, "{bytes}");
        }
    }
}
