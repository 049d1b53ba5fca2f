using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
namespace Grpc.AspNetCore.Server
{
    internal sealed class MappedServices { public IEnumerable<IEndpointConventionBuilder> Map<T>(IEndpointRouteBuilder b) => throw new NotSupportedException(); }
    internal sealed class ActiveCalls { }
    internal abstract class HttpServerCallContext : ServerCallContext { public HttpContext HttpContext => throw new NotSupportedException(); }
}
namespace Grpc.Reflection { internal sealed class ReflectionAnswers {} internal sealed class ReflectionV1Service {} internal sealed class ReflectionV1AlphaService {} }
namespace Grpc.HealthCheck { public sealed class HealthServiceImpl {} }
namespace Grpc.AspNetCore.HealthChecks { internal sealed class HealthChecksService {} internal sealed class GrpcHealthChecksPublisher : IHealthCheckPublisher { public Task PublishAsync(HealthReport report, CancellationToken cancellationToken) => Task.CompletedTask; } }
