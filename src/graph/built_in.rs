//! The configuration we ship, compiled in: every file under `graphs/` of the source, by its path there.

/// Path under `graphs/` and text.
pub(super) const FILES: &[(&str, &str)] = &[];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_under_graphs_is_compiled_in() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs");
        let mut on_disk = BTreeSet::new();
        for folder in fs::read_dir(&base).into_iter().flatten().flatten() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = folder.file_name().into_string().expect("UTF-8") + "/" + &file.file_name().to_string_lossy();
                on_disk.insert(name);
            }
        }
        let compiled_in: BTreeSet<String> = super::FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, compiled_in);
    }
}
