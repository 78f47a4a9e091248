//! Package groups and environments that some release of Enterprise Linux or Fedora has: what a file is checked
//! against where no distribution is at hand.

const ENVIRONMENTS: &str = "minimal-environment minimal server-product-environment graphical-server-environment \
    workstation-product-environment workstation-environment virtualization-host-environment custom-environment \
    infrastructure-server-environment file-print-server-environment cloud-server-environment web-server-environment \
    compute-node-environment developer-workstation-environment gnome-desktop-environment kde-desktop-environment \
    xfce-desktop-environment lxde-desktop-environment mate-desktop-environment cinnamon-desktop-environment \
    basic-desktop-environment cloud-bare-environment workstation-ostree-support-environment \
    server-product workstation-product";

const GROUPS: &str = "core base standard minimal development development-tools additional-devel anaconda-tools \
    backup-client backup-server base-x compat-libraries conflicts-appstream conflicts-baseos console-internet \
    container-management debugging desktop-debugging dial-up directory-client directory-server dns-server dotnet \
    eclipse emacs file-server fonts ftp-server gnome-desktop gnome-apps graphical-admin-tools graphics guest-agents \
    guest-desktop-agents ha ha-management hardware-monitoring hardware-support headless-management \
    identity-management-server infiniband input-methods internet-applications internet-browser iwl java-platform \
    kde-desktop large-systems legacy-unix load-balancer mail-server mainframe-access mariadb mariadb-client \
    multimedia network-file-system-client network-server network-tools networkmanager-submodules office-suite \
    performance perl-runtime perl-web php platform-devel platform-kvm platform-microsoft platform-vmware postgresql \
    postgresql-client print-client print-server python-web remote-desktop-clients remote-system-management \
    resilient-storage rpm-development-tools ruby-runtime rpm-tools scientific security-tools server server-hardware-support \
    server-platform server-platform-devel server-policy smart-card storage-client-multipath system-admin-tools \
    system-management system-tools tech-writing technical-writing text-internet turkeyaware virtualization \
    virtualization-client virtualization-headless virtualization-hypervisor virtualization-platform \
    virtualization-tools virtualization-host web-server web-servlet windows-domain-controller x11 c-development \
    d-development rust-development container-host domain-client workstation-product server-product haproxy \
    admin-tools basic-web-server smb-server basic-desktop editors sound-and-video authoring-and-publishing \
    base-graphical cloud-management cloud-server-core cloud-infrastructure compute-node desktop-platform \
    desktop-platform-devel nfs-server ruby-on-rails ostree-support legacy-x scalable-file-systems \
    messaging-client-support cifs-file-server storage-server iscsi-target network-infrastructure-server \
    system-management-messaging-client system-management-messaging-server system-management-snmp \
    system-management-wbem 3d-printing arm-tools audio books critical-path-anaconda critical-path-apps \
    critical-path-base critical-path-build critical-path-compose critical-path-gnome critical-path-kde \
    critical-path-lxde critical-path-lxqt critical-path-server critical-path-standard critical-path-xfce \
    deepin-desktop deepin-desktop-apps deepin-desktop-media deepin-desktop-office design-suite education \
    electronic-lab engineering-and-scientific fedora-packager firefox font-design freeipa-server games \
    gnome-software-development hardware-support i3 i3-extended java java-development kde-apps kde-education kde-media \
    kde-software-development kf5-software-development kf6-software-development libreoffice lxde-apps lxde-desktop \
    lxde-media lxde-multimedia lxde-office lxqt lxqt-desktop lxqt-apps mate mate-desktop mate-applications medical \
    mingw mongodb mysql neuron-modelling-simulators ocaml office pantheon-desktop perl printing python-classroom \
    python-science robotics-suite ruby security-lab sql-server sugar-apps sugar-desktop sway-desktop swaywm \
    swaywm-extended tomcat vagrant window-managers x-software-development xfce-apps xfce-desktop xfce-extra-plugins \
    xfce-media xfce-office xfce-software-development xmonad xmonad-mate budgie budgie-desktop budgie-desktop-apps \
    cinnamon-desktop cosmic-desktop cosmic-desktop-apps phosh-desktop miraclewm miraclewm-extended";

/// Whether some release has a group of this identifier, or of this name written as in the group lists of old.
pub(super) fn is_group(name: &str) -> bool {
    // Every language had a group of its own.
    has(GROUPS, name) || name.ends_with("-support")
}

/// Whether a text is an identifier, of which the lists above are nearly complete; of names they know but some.
pub(super) fn is_identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether some release has an environment of this identifier or name.
pub(super) fn is_environment(name: &str) -> bool {
    has(ENVIRONMENTS, name)
}

fn has(list: &str, name: &str) -> bool {
    // `Development Tools` and `development-tools` are one group.
    let wanted = name.to_lowercase().replace([' ', '_'], "-");
    list.split_whitespace().any(|known| known == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_identifier_and_by_name() {
        assert!(is_group("core") && is_group("Development Tools") && is_environment("minimal-environment"));
        assert!(is_group("french-support") && is_identifier("no-such-group") && !is_identifier("Server with GUI"));
        assert!(!is_group("no-such-group") && !is_environment("core"));
    }
}
