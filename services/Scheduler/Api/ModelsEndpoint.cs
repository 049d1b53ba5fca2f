using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Models;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>Models over gRPC.</summary>
internal sealed class ModelsEndpoint(
    [FromKeyedServices(ModelServices.Descriptions)] ModelInquiry inquiry, IOptions<ModelInquiryOptions> options)
    : ModelService.ModelServiceBase
{
    private const int LargestBatch = 1_048_576;

    private static readonly OptimizerSpec SgdWithMomentum = new() { Name = "sgd", LearningRate = 0.01, Momentum = 0.9 };

    public override async Task<DescribeModelResponse> DescribeModel(DescribeModelRequest request, ServerCallContext context)
    {
        if (request.BatchSize is < 0 or > LargestBatch)
            throw new InvalidRequestException($"batch_size is {request.BatchSize}; give 1 to {LargestBatch}, or 0 for no memory estimate");
        var model = PublishedModel.Complete(request.Model ?? new ModelSpec());
        var query = new ModelQuery
        {
            Model = model,
            Layers = true,
            RankBatchSize = request.BatchSize,
            Optimizer = request.Optimizer ?? SgdWithMomentum,
            Precision = request.Precision == Precision.Unspecified ? Precision.Float32 : request.Precision,
        };
        // The scheduler's own deadline for the node, and a little for the way.
        var finding = await inquiry.AskAsync(query, options.Value.AnswerDeadline + TimeSpan.FromSeconds(2), context.CancellationToken);
        return finding switch
        {
            null => throw new RpcException(new Status(StatusCode.FailedPrecondition,
                $"no node built {model.Name} within {options.Value.AnswerDeadline.TotalSeconds} s; try again, or a smaller inputSize")),
            { Answer: null } => throw new RpcException(new Status(StatusCode.FailedPrecondition, finding.Why)),
            { Answer.AnswerCase: ModelAnswer.AnswerOneofCase.Fault } => throw new InvalidRequestException(finding.Answer.Fault),
            _ => new DescribeModelResponse { Model = model, Description = finding.Answer.Description },
        };
    }
}
