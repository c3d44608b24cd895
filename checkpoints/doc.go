// Package checkpoints owns the files that a model lives in, safetensors, and the
// folders that a training run saves.
//
// Call [OpenWeights] to read the weights of a model folder in Hugging Face
// layout, [StreamSafetensors] or [StreamWeights] to write some,
// [WriteFolder] for a folder that is whole or absent, and [Save], [Latest] and
// [Prune] for the checkpoints of a run.
//
// What it promises: every file is taken for hostile. Sizes, offsets, counts
// and names are checked before anything is allocated or opened, memory stays
// within a few times the size of a file's header, and errors name the file,
// what is there and what it wants. Whatever it writes is whole or absent,
// also after a crash, a full disk or a power cut; and the same values give the
// same bytes.
//
// What it does not know: what the tensors mean. Which ones a model needs, of
// which shape, and whether their values are finite, is for package model to say.
package checkpoints
