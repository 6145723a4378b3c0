#!/bin/sh
# Makes the recordings that the decoders are tested with: 0.6 s, 440 Hz on the left, 1000 Hz on the right, in each format.
set -e
cd "$(dirname "$0")"
make() {
    ffmpeg -v error -y -f lavfi -i "aevalsrc=0.4*sin(440*2*PI*t)|0.4*sin(1000*2*PI*t):s=$1:d=0.6" \
        -map_metadata -1 -fflags +bitexact -flags:a +bitexact $3 "$2"
}
make 44100 tone.mp3 "-b:a 64k"
make 22050 tone.flac "-sample_fmt s16"
make 44100 tone.ogg "-c:a libvorbis -q:a 1"
make 48000 tone.opus "-c:a libopus -b:a 48k"
make 48000 tone.aac "-c:a aac -b:a 64k"
make 44100 tone.m4a "-c:a aac -b:a 64k"
make 8000 tone.wav "-c:a pcm_u8"
make 48000 tone.webm "-c:a libopus -b:a 48k"
make 44100 vorbis.webm "-c:a libvorbis -q:a 1"
make 44100 fragments.mp4 "-c:a aac -b:a 64k -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 200000"
# written into a pipe, as browsers do: no lengths
ffmpeg -v error -i tone.webm -c copy -fflags +bitexact -f webm -live 1 - | cat > live.webm
