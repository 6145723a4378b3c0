//! The size rule: what resolution a rendition gets from the asked size and the size of the input.
//!
//! The larger asked side is applied to the larger input side, the aspect ratio is kept, portrait input
//! is transposed. Integer arithmetic equal to the reference's scale expression. Knows no frames.

/// Smallest and largest coded size, in pixels. The reference applies these limits also in software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Smallest (width, height).
    pub min: (u32, u32),
    /// Largest (width, height).
    pub max: (u32, u32),
}

/// Limits of H.264 renditions.
pub const H264: Limits = Limits {
    min: (146, 50),
    max: (4096, 4096),
};
/// Limits of H.265 renditions.
pub const H265: Limits = Limits {
    min: (132, 40),
    max: (8192, 8192),
};

/// Largest side that any encoder here takes, in pixels. Only pictures of an extreme shape come near.
const MAX_SIDE: u32 = 16_384;

/// Output (width, height) for an `input` size and an `asked` size, both (width, height) in pixels.
/// `None` when the input has no area or the result would leave the range of sizes.
pub fn output_size(input: (u32, u32), asked: (u32, u32), limits: Limits) -> Option<(u32, u32)> {
    let (iw, ih) = (u64::from(input.0), u64::from(input.1));
    if iw == 0 || ih == 0 {
        return None;
    }
    let width = asked.0.clamp(limits.min.0, limits.max.0);
    let height = asked.1.clamp(limits.min.1, limits.max.1);
    let larger = u64::from(width.max(height));
    let (min_w, min_h) = (u64::from(limits.min.0), u64::from(limits.min.1));

    let (width, height) = if iw >= ih {
        let by_larger = larger * ih;
        (
            (by_larger >= min_h * iw).then_some(larger),
            (min_h * iw >= by_larger).then_some(min_h),
        )
    } else {
        let by_larger = larger * iw;
        (
            (min_w * ih >= by_larger).then_some(min_w),
            (by_larger >= min_w * ih).then_some(larger),
        )
    };
    let (width, height) = match (width.map(even), height.map(even)) {
        (Some(w), Some(h)) => (w, h),
        (Some(w), None) => (w, follow(w, ih, iw)),
        (None, Some(h)) => (follow(h, iw, ih), h),
        (None, None) => return None,
    };
    let size = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    (1..=MAX_SIDE)
        .contains(&size.0)
        .then_some(size)
        .filter(|size| (1..=MAX_SIDE).contains(&size.1))
}

fn even(pixels: u64) -> u64 {
    pixels / 2 * 2
}

/// The side that follows `fixed` in the ratio `num / den`, as a multiple of two, halves rounded up.
fn follow(fixed: u64, num: u64, den: u64) -> u64 {
    (fixed * num + den) / (2 * den) * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_equal_the_reference_in_every_checked_case() {
        for (input, asked, expected) in [
            ((150, 200), (0, 250), (188, 250)),
            ((200, 300), (0, 427), (284, 426)),
            ((123, 456), (0, 426), (146, 542)),
            ((400, 456), (0, 40), (146, 166)),
            ((456, 123), (426, 0), (426, 114)),
            ((456, 123), (0, 301), (300, 80)),
            ((456, 400), (100, 0), (146, 128)),
            ((500, 100), (0, 200), (250, 50)),
            ((123, 123), (426, 0), (426, 426)),
            ((1920, 1080), (640, 360), (640, 360)),
            ((640, 480), (640, 360), (640, 480)),
            ((1080, 1920), (640, 360), (360, 640)),
            ((1920, 800), (1280, 720), (1280, 534)),
            ((1280, 720), (426, 240), (426, 240)),
            ((1280, 720), (854, 480), (854, 480)),
        ] {
            assert_eq!(
                output_size(input, asked, H264),
                Some(expected),
                "{input:?} asked {asked:?}"
            );
        }
    }

    #[test]
    fn limits_are_those_of_the_codec() {
        assert_eq!(output_size((1000, 1000), (10, 10), H265), Some((132, 132)));
        assert_eq!(
            output_size((1000, 1000), (9000, 10), H264),
            Some((4096, 4096))
        );
        assert_eq!(output_size((0, 1000), (640, 360), H264), None);
    }

    #[test]
    fn a_shape_that_no_encoder_takes_has_no_size() {
        assert_eq!(output_size((16, 4000), (250, 62_500), H264), None);
        assert_eq!(output_size((8000, 16), (320, 180), H264), None);
    }

    proptest! {
        #[test]
        fn every_size_is_even_and_no_smaller_than_the_limit(
            iw in 1u32..20_000, ih in 1u32..20_000, w in 0u32..10_000, h in 0u32..10_000,
        ) {
            if let Some((ow, oh)) = output_size((iw, ih), (w, h), H264) {
                prop_assert_eq!((ow % 2, oh % 2), (0, 0));
                prop_assert!(ow >= 146 && oh >= 50, "{}x{}", ow, oh);
            }
        }

        #[test]
        fn portrait_is_landscape_transposed_when_no_limit_is_touched(
            iw in 400u32..4000, ih in 400u32..4000, side in 1600u32..4000,
        ) {
            prop_assume!(iw != ih);
            let upright = output_size((iw, ih), (side, 0), H264);
            let turned = output_size((ih, iw), (side, 0), H264).map(|(w, h)| (h, w));
            prop_assert_eq!(upright, turned);
        }
    }
}
