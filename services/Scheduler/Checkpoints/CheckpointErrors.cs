namespace Cluster.Scheduler.Checkpoints;

/// <summary>A chunk's bytes are not those that its hash names. gRPC: InvalidArgument.</summary>
public sealed class ChunkCorruptException(string message) : Exception(message);

/// <summary>A manifest names a chunk that is not stored, or of another size. gRPC: FailedPrecondition.</summary>
public sealed class ChunkMissingException(string message) : Exception(message);

/// <summary>The parts of one checkpoint contradict each other. gRPC: InvalidArgument.</summary>
public sealed class ManifestConflictException(string message) : Exception(message);

/// <summary>A file that is being imported is not as announced, or no sound safetensors file. gRPC: InvalidArgument.</summary>
public sealed class InvalidImportException(string message) : Exception(message);

/// <summary>A job has no predictions, or none yet. gRPC: FailedPrecondition.</summary>
public sealed class NoPredictionsException(string message) : Exception(message);

/// <summary>A checkpoint is not to be deleted while a job needs it. gRPC: FailedPrecondition.</summary>
public sealed class CheckpointInUseException(string message) : Exception(message);

/// <summary>There is no such checkpoint of this job, or none any more. gRPC: NotFound.</summary>
public sealed class CheckpointNotFoundException(string message) : Exception(message);

/// <summary>
/// What a job is to begin with cannot be found, or is of another model. gRPC: FailedPrecondition; the message names field, value and
/// remedy.
/// </summary>
[GenerateSerializer, Alias("cluster.InitialCheckpointException")]
public sealed class InitialCheckpointException(string message) : Exception(message);
