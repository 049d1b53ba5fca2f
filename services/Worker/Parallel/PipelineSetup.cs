namespace Cluster.Worker.Parallel;

/// <summary>How a pipeline is laid out.</summary>
/// <param name="Stages">Ranks of a pipeline; divides the number of ranks.</param>
/// <param name="MicroBatches">Parts of a pipeline's slice of the global batch; fewer where it has fewer samples.</param>
/// <param name="MicroBatchSamples">Of a micro-batch, by which the network's units are measured.</param>
/// <param name="SyncBatchNorm">
/// Whether batch normalisation is by the statistics of a micro-batch of all pipelines together. Otherwise each normalises by its own and
/// running statistics are averaged after each step.
/// </param>
/// <param name="Gradients">How gradients travel between the pipelines.</param>
public sealed record PipelineSetup(int Stages, int MicroBatches, int MicroBatchSamples, bool SyncBatchNorm, GradientOptions Gradients);
