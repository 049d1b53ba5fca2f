using Cluster.Contracts.V1;
using Cluster.Worker.Training;

namespace Cluster.Worker.Inference;

/// <summary>How far a pass is, for who watches: batches done of all, and the figures so far. Rank 0's word is the job's.</summary>
internal sealed class BatchProgress(TrainerReporter reporter, bool reports, int samples, int globalBatchSize)
{
    /// <summary>Sent with the next batch; set figures here.</summary>
    public Progress Figures { get; } = new() { Steps = (samples + globalBatchSize - 1) / globalBatchSize };

    public void BatchDone()
    {
        Figures.Step++;
        Send();
    }

    public void Send()
    {
        if (reports)
            reporter.Progress(Figures.Clone());
    }
}
