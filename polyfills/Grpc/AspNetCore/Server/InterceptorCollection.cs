using System.Collections.ObjectModel;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>Server interceptors in the order in which a call meets them.</summary>
public class InterceptorCollection : Collection<InterceptorRegistration>
{
    /// <summary>Adds an interceptor, taken from the container when registered there, else made for each call.</summary>
    /// <param name="args">Constructor arguments that the container does not have. With any, the interceptor is always made for each call.</param>
    public void Add<TInterceptor>(params object[] args)
        where TInterceptor : Interceptor => Add(typeof(TInterceptor), args);

    /// <inheritdoc cref="Add{TInterceptor}(object[])"/>
    public void Add(Type interceptorType, params object[] args)
    {
        ArgumentNullException.ThrowIfNull(interceptorType);
        ArgumentNullException.ThrowIfNull(args);
        if (!interceptorType.IsSubclassOf(typeof(Interceptor)))
            throw new ArgumentException($"Type must inherit from {typeof(Interceptor).FullName}.", nameof(interceptorType));
        Add(new InterceptorRegistration(interceptorType, args));
    }

    internal void AddRange(IEnumerable<InterceptorRegistration> registrations)
    {
        foreach (var registration in registrations)
            Add(registration);
    }
}

public class InterceptorRegistration
{
    private readonly object[] arguments;

    internal InterceptorRegistration(Type type, object[] arguments)
    {
        Type = type;
        this.arguments = arguments;
    }

    public Type Type { get; }

    public IReadOnlyList<object> Arguments => arguments;

    /// <summary>The instance for one call, and whether the call must dispose it.</summary>
    internal (Interceptor Instance, bool Created) Resolve(IServiceProvider services) =>
        arguments.Length == 0 && services.GetService(Type) is Interceptor registered
            ? (registered, false)
            : ((Interceptor)ActivatorUtilities.CreateInstance(services, Type, arguments), true);
}
