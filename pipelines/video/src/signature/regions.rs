//! Where the 380 elements of a frame's signature look: rectangles on a grid of 32 × 32 cells, as ISO/IEC 15938-3 gives them.

use std::sync::LazyLock;

/// Cells in each direction.
pub(super) const GRID: usize = 32;

/// A rectangle of cells, all ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) left: u8,
    pub(super) top: u8,
    pub(super) right: u8,
    pub(super) bottom: u8,
}

impl Region {
    pub(super) fn cells(self) -> u64 {
        u64::from(self.right - self.left + 1) * u64::from(self.bottom - self.top + 1)
    }
}

/// What one element compares.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Their mean…
    pub(super) these: Vec<Region>,
    /// …less the mean of those; of none, less the middle grey.
    pub(super) those: Vec<Region>,
}

/// Elements that are cut into three classes by one threshold.
pub(super) type Category = Vec<Element>;

/// All categories, in the order in which a signature holds their elements.
pub(super) static CATEGORIES: LazyLock<[Category; 10]> = LazyLock::new(|| {
    [
        category(1, 0, A1),
        category(1, 0, A2),
        category(1, 1, D1),
        category(2, 2, D2),
        category(1, 1, D3),
        category(1, 1, D4),
        category(4, 1, D5),
        category(1, 1, D6),
        category(2, 1, D7),
        category(1, 1, D8),
    ]
});

fn category(these: usize, those: usize, regions: &str) -> Category {
    let regions: Vec<Region> = regions
        .split_ascii_whitespace()
        .filter_map(region)
        .collect();
    regions
        .chunks_exact(these + those)
        .map(|element| Element {
            these: element[..these].to_vec(),
            those: element[these..].to_vec(),
        })
        .collect()
}

fn region(digits: &str) -> Option<Region> {
    let mut numbers = digits
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(32)?).ok());
    Some(Region {
        left: numbers.next()??,
        top: numbers.next()??,
        right: numbers.next()??,
        bottom: numbers.next()??,
    })
}

// Four digits to the base of 32 for each region: left, top, right, bottom.

/// Means, coarse.
const A1: &str = "\
    0077 80f7 087f 88ff g0n7 o0v7 g8nf o8vf 0g7n 8gfn 0o7v 8ofv ggnn ogvn gonv oovv 00ff g0vf 0gfv ggvv";

/// Means, around the middle.
const A2: &str = "\
    2299 c2j9 m2t9 2c9j ccjj mctj 2m9t cmjt mmtt 99mm 66pp 33ss";

/// Neighbours, fine.
const D1: &str = "\
    0013 2033 4071 4273 0637 0435 6477 4457 8093 a0b3 c0f1 c2f3 86b7 84b5 e4f7 c4d7 081b 283b 4879 4a7b 0e3f 0c3d 6c7f 4c5f \
    889b a8bb c8f9 cafb 8ebf 8cbd ecff ccdf g0j1 g2j3 m0n3 k0l3 g4h7 i4j7 k6n7 k4n5 o0r1 o2r3 u0v3 s0t3 o4p7 q4r7 s6v7 s4v5 \
    g8j9 gajb m8nb k8lb gchf icjf kenf kcnd o8r9 oarb u8vb s8tb ocpf qcrf sevf scvd 0g3h 0i3j 6g7j 4g5j 0k1n 2k3n 4m7n 4k7l \
    8gbh 8ibj egfj cgdj 8k9n akbn cmfn ckfl 0o3p 0q3r 6o7r 4o5r 0s1v 2s3v 4u7v 4s7t 8obp 8qbr eofr codr 8s9v asbv cufv csft \
    gghj igjj kgnh kinj gmjn gkjl mknn kkln ogpj qgrj sgvh sivj omrn okrl ukvn sktn gohr iojr konp kqnr gujv gsjt msnv kslv \
    oopr qorr sovp sqvr ourv osrt usvv sstv 2235 4255 6293 6495 2859 2657 8699 6679 c2d5 e2f5 g2j3 g4j5 c8f9 c6f7 i6j9 g6h9 \
    m2n5 o2p5 q2t3 q4t5 m8p9 m6p7 s6t9 q6r9 2c3f 4c5f 6c9d 6e9f 2i5j 2g5h 8g9j 6g7j ccfd ceff gcjd gejf cifj cgfh gijj ggjh \
    mcnf ocpf qctd qetf mipj mgph sgtj qgrj 2m3p 4m5p 6m9n 6o9p 2s5t 2q5r 8q9t 6q7t cmdp emfp gmjn gojp csft cqfr iqjt gqht \
    mmnp ompp qmtn qotp mspt mqpr sqtt qqrt 77a8 79aa b7ca d7ea 7b8e 9bae bbec bdee h7k8 h9ka l7ma n7oa hbie jbke lboc ldoe \
    7hai 7jak bhck dhek 7l8o 9lao blem bneo hhki hjkk lhmk nhok hlio jlko llom lnoo";

/// Diagonals against each other.
const D2: &str = "\
    0033 4477 4073 0437 80b3 c4f7 c0f3 84b7 g0j3 k4n7 k0n3 g4j7 o0r3 s4v7 s0v3 o4r7 083b 4c7f 487b 0c3f 88bb ccff c8fb 8cbf \
    g8jb kcnf k8nb gcjf o8rb scvf s8vb ocrf 0g3j 4k7n 4g7j 0k3n 8gbj ckfn cgfj 8kbn ggjj kknn kgnj gkjn ogrj skvn sgvj okrn \
    0o3r 4s7v 4o7r 0s3v 8obr csfv cofr 8sbv gojr ksnv konr gsjv oorr ssvv sovr osrv 4477 88bb 84b7 487b c4f7 g8jb g4j7 c8fb \
    k4n7 o8rb o4r7 k8nb 4c7f 8gbj 8cbf 4g7j ccff ggjj gcjf cgfj kcnf ogrj ocrf kgnj 4k7n 8obr 8kbn 4o7r ckfn gojr gkjn cofr \
    kknn oorr okrn konr";

/// Pairs of nine squares.
const D3: &str = "\
    11aa b1ka 11aa l1ua 11aa 1bak 11aa bbkk 11aa lbuk 11aa 1lau 11aa blku 11aa lluu b1ka l1ua b1ka 1bak b1ka bbkk b1ka lbuk \
    b1ka 1lau b1ka blku b1ka lluu l1ua 1bak l1ua bbkk l1ua lbuk l1ua 1lau l1ua blku l1ua lluu 1bak bbkk 1bak lbuk 1bak 1lau \
    1bak blku 1bak lluu bbkk lbuk bbkk 1lau bbkk blku bbkk lluu lbuk 1lau lbuk blku lbuk lluu 1lau blku 1lau lluu blku lluu";

/// Pairs about the middle.
const D4: &str = "\
    7dci jdoi d7ic djio 77cc jjoo j7oc 7jco d7ic jdoi jdoi djio djio 7dci 7dci d7ic 77cc j7oc j7oc jjoo jjoo 7jco 7jco 77cc \
    ddii d1i6 ddii pdui ddii dpiu ddii 1d6i d1i6 dpiu 1d6i pdui 71c6 j1o6 7pcu jpou 176c 1j6o p7uc pjuo 71c6 176c j1o6 p7uc \
    pjuo jpou 1j6o 7pcu 1166 p1u6 p1u6 ppuu ppuu 1p6u 1p6u 1166";

/// Frames against what they enclose.
const D5: &str = "\
    11a3 1437 84a7 18aa 4477 b1k3 b4d7 i4k7 b8ka e4h7 l1u3 l4n7 s4u7 l8ua o4r7 1bad 1e3h 8eah 1iak 4e7h \
    bbkd bedh iekh bikk eehh lbud lenh seuh liuk oerh 1lan 1o3r 8oar 1sau 4o7r blkn bodr iokr bsku eohr \
    llun lonr sour lsuu oorr 66f8 698c d9fc 6dff 99cc g6p8 g9ic n9pc gdpf j9mc 6gfi 6j8m djfm 6nfp 9jcm \
    ggpi gjim njpm gnpp jjmm 61f3 6487 d4f7 68fa 94c7 g1p3 g4i7 n4p7 g8pa j4m7 16a8 193c 89ac 1daf 497c \
    b6k8 b9dc i9kc bdkf e9hc l6u8 l9nc s9uc lduf o9rc 6bfd 6e8h defh 6ifk 9ech gbpd geih neph gipk jemh \
    1gai 1j3m 8jam 1nap 4j7m bgki bjdm ijkm bnkp ejhm lgui ljnm sjum lnup ojrm 6lfn 6o8r dofr 6sfu 9ocr \
    glpn goir nopr gspu jomr 22e6 2769 a7e9 2aee 7799 72j6 77b9 f7j9 7aje c7e9 c2o6 c7g9 k7o9 caoe h7j9 \
    h2t6 h7l9 p7t9 hate m7o9 27eb 2c6e acee 2fej 7c9e 77jb 7cbe fcje 7fjj ccee c7ob ccge kcoe cfoj hcje \
    h7tb hcle pcte hftj mcoe 2ceg 2h6j ahej 2keo 7h9j 7cjg 7hbj fhjj 7kjo chej ccog chgj khoj ckoo hhjj \
    hctg hhlj phtj hkto mhoj 2hel 2m6o ameo 2pet 7m9o 7hjl 7mbo fmjo 7pjt cmeo chol cmgo kmoo cpot hmjo \
    hhtl hmlo pmto hptt mmoo 83d4 8596 c5d6 87d8 a5b6 d3i4 d5e6 h5i6 d7i8 f5g6 i3n4 i5j6 m5n6 i7n8 k5l6 \
    3889 3a4b 7a8b 3c8d 5a6b 88d9 8a9b cadb 8cdd aabb d8i9 daeb haib dcid fagb i8n9 iajb manb icnd kalb \
    n8s9 naob rasb ncsd paqb 3d8e 3f4g 7f8g 3h8i 5f6g 8dde 8f9g cfdg 8hdi afbg ddie dfeg hfig dhii ffgg \
    idne ifjg mfng ihni kflg ndse nfog rfsg nhsi pfqg 3i8j 3k4l 7k8l 3m8n 5k6l 8idj 8k9l ckdl 8mdn akbl \
    diij dkel hkil dmin fkgl iinj ikjl mknl imnn kkll nisj nkol rksl nmsn pkql 8ndo 8p9q cpdq 8rds apbq \
    dnio dpeq hpiq dris fpgq inno ipjq mpnq irns kplq";

/// Lying against standing.
const D6: &str = "\
    35ca 53ac b5ka d3ic j5sa l3qc 3dci 5bak bdki dbik jdsi lbqk 3lcq 5jas blkq djis jlsq ljqs";

/// Both sides against the middle.
const D7: &str = "\
    0437 84b7 4477 4073 487b 4477 5487 d4g7 94c7 90c3 98cb 94c7 a4d7 i4l7 e4h7 e0h3 e8hb e4h7 f4i7 n4q7 j4m7 j0m3 j8mb j4m7 \
    k4n7 s4v7 o4r7 o0r3 o8rb o4r7 093c 89bc 497c 4578 4d7g 497c 598c d9gc 99cc 95c8 9dcg 99cc a9dc i9lc e9hc e5h8 edhg e9hc \
    f9ic n9qc j9mc j5m8 jdmg j9mc k9nc s9vc o9rc o5r8 odrg o9rc 0e3h 8ebh 4e7h 4a7d 4i7l 4e7h 5e8h degh 9ech 9acd 9icl 9ech \
    aedh ielh eehh eahd eihl eehh feih neqh jemh jamd jiml jemh kenh sevh oerh oard oirl oerh 0j3m 8jbm 4j7m 4f7i 4n7q 4j7m \
    5j8m djgm 9jcm 9fci 9ncq 9jcm ajdm ijlm ejhm efhi enhq ejhm fjim njqm jjmm jfmi jnmq jjmm kjnm sjvm ojrm ofri onrq ojrm \
    0o3r 8obr 4o7r 4k7n 4s7v 4o7r 5o8r dogr 9ocr 9kcn 9scv 9ocr aodr iolr eohr ekhn eshv eohr foir noqr jomr jkmn jsmv jomr \
    konr sovr oorr okrn osrv oorr";

/// Halves of larger squares.
const D8: &str = "\
    0073 0477 80b7 c0f7 083f 487f 88fb 8cff g0j7 k0n7 o0v3 o4v7 g8nb gcnf o8rf s8vf 0g3n 4g7n 8gfj 8kfn 0o7r 0s7v 8obv cofv \
    ggnj gknn ogrn sgvn gojv konv oovr osvv 007f 80ff g0v7 g8vf 0gfn 0ofv ggnv ogvv";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_lies_on_the_grid_and_none_was_lost() {
        let counts: Vec<usize> = CATEGORIES.iter().map(Vec::len).collect();
        assert_eq!(counts, [20, 12, 116, 25, 36, 30, 62, 9, 50, 20]);
        let read: usize = CATEGORIES
            .iter()
            .flatten()
            .map(|element| element.these.len() + element.those.len())
            .sum();
        assert_eq!(read, 1014);
        for element in CATEGORIES.iter().flatten() {
            for region in element.these.iter().chain(&element.those) {
                assert!(region.left <= region.right && usize::from(region.right) < GRID);
                assert!(region.top <= region.bottom && usize::from(region.bottom) < GRID);
            }
        }
    }
}
