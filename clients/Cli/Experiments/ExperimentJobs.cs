using Cluster.Contracts.V1;
using Google.Protobuf.Collections;

namespace Cluster.Cli.Experiments;

/// <summary>The jobs of an experiment that did not fit into an answer.</summary>
internal static class ExperimentJobs
{
    /// <param name="jobs">Those of the answer; the others are added.</param>
    /// <param name="pageToken">The answer's.</param>
    public static async Task AddRestAsync(
        RepeatedField<Job> jobs, string experimentId, string pageToken, VerbContext context, CancellationToken cancellationToken)
    {
        while (pageToken.Length > 0)
        {
            var request = new GetExperimentRequest { ExperimentId = experimentId, PageToken = pageToken };
            var page = await context.Connection.Experiments.GetExperimentAsync(request, context.Connection.Call(cancellationToken));
            jobs.AddRange(page.Jobs);
            pageToken = page.NextPageToken;
        }
    }
}
