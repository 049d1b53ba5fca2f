using System.Reflection;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.AspNetCore.Server;

/// <summary>Routes services, and remembers which ones, for reflection.</summary>
internal sealed class MappedServices(IOptions<GrpcServiceOptions> sharedOptions, IServiceProvider services, ActiveCalls activeCalls, ILoggerFactory loggers)
{
    private readonly Dictionary<string, ServiceDescriptor?> mapped = new(StringComparer.Ordinal);

    public IEnumerable<ServiceDescriptor> Descriptors => mapped.Values.OfType<ServiceDescriptor>();

    public IReadOnlyList<IEndpointConventionBuilder> Map<TService>(IEndpointRouteBuilder builder)
        where TService : class
    {
        var binding = BindingOf(typeof(TService));
        var own = (IOptions<GrpcServiceOptions<TService>>?)services.GetService(typeof(IOptions<GrpcServiceOptions<TService>>));
        var settings = CallSettings.Of(sharedOptions.Value, own!.Value);
        var binder = new ServiceMethodBinder<TService>(settings);
        BindMethodOf(binding, typeof(TService)).Invoke(obj: null, [binder, null]);

        if (mapped.Count == 0)
            MapUnimplemented(builder);
        foreach (var name in binder.Methods.Select(method => method.Method.ServiceName).Distinct(StringComparer.Ordinal))
            mapped[name] = binding.BindType.GetProperty("Descriptor", BindingFlags.Public | BindingFlags.Static)?.GetValue(obj: null) as ServiceDescriptor;
        var logger = loggers.CreateLogger(typeof(TService));
        return [.. binder.Methods.Select(method => Map<TService>(builder, method, new CallEndpoint(settings, method.Invoke, activeCalls, logger)))];
    }

    private static IEndpointConventionBuilder Map<TService>(IEndpointRouteBuilder builder, BoundMethod method, CallEndpoint endpoint)
    {
        RequestDelegate handle = endpoint.HandleAsync;
        return builder.Map(RoutePatternFactory.Parse(method.Method.FullName), handle)
            .WithDisplayName($"gRPC - {method.Method.FullName}")
            .WithMetadata(
            [
                new GrpcMethodMetadata(typeof(TService), method.Method),
                new HttpMethodMetadata(["POST"], acceptCorsPreflight: true),
                .. typeof(TService).GetCustomAttributes(inherit: true),
                .. method.Implementation.GetCustomAttributes(inherit: true),
            ]);
    }

    /// <summary>Generated base classes say how they are bound; a service may derive from one over several steps.</summary>
    private static BindServiceMethodAttribute BindingOf(Type service)
    {
        for (var type = service; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } binding)
                return binding;
        }
        throw new InvalidOperationException($"Error binding gRPC service '{service.Name}'. It must derive from a base class generated from a proto service.");
    }

    private static MethodInfo BindMethodOf(BindServiceMethodAttribute binding, Type service) =>
        binding.BindType.GetMethods(BindingFlags.Public | BindingFlags.Static).FirstOrDefault(method =>
            method.Name == binding.BindMethodName
            && method.GetParameters() is [{ ParameterType: var binder }, { ParameterType: var instance }]
            && binder == typeof(ServiceBinderBase)
            && instance.IsAssignableFrom(service))
        ?? throw new InvalidOperationException($"{binding.BindType} has no {binding.BindMethodName}(ServiceBinderBase, service).");

    /// <summary>Without it a client would get 404 where the protocol wants the status Unimplemented.</summary>
    private void MapUnimplemented(IEndpointRouteBuilder builder)
    {
        var settings = CallSettings.Of(new GrpcServiceOptions(), new GrpcServiceOptions());
        RequestDelegate handle = new CallEndpoint(settings, Refuse, activeCalls, loggers.CreateLogger<MappedServices>()).HandleAsync;
        builder.Map(RoutePatternFactory.Parse("{service}/{method}", defaults: null, parameterPolicies: new { method = new OnlyGrpc() }), handle)
            .WithDisplayName("gRPC - Unimplemented")
            .WithMetadata(new HttpMethodMetadata(["POST"], acceptCorsPreflight: true));

        Task Refuse(HttpServerCallContext call) => throw new RpcException(new Status(
            StatusCode.Unimplemented,
            mapped.ContainsKey((string)call.HttpContext.Request.RouteValues["service"]!) ? "Method is unimplemented." : "Service is unimplemented."));
    }

    /// <summary>Leaves requests of other kinds to the application's other routes.</summary>
    private sealed class OnlyGrpc : IRouteConstraint
    {
        public bool Match(HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection) =>
            httpContext is null || GrpcHeaders.IsGrpc(httpContext.Request.ContentType);
    }
}
